/* read_condition.h - If-Match and If-None-Match of a read, for resources that have one strong tag and always exist. Entries, which may
 * be absent and have several tags, are judged in entry_answer.c. */
#ifndef API_READ_CONDITION_H
#define API_READ_CONDITION_H

#include "api/handler.h"

/* *ret_not_modified: the answer is a 304. ERR_PRECONDITION or ERR_INVALID recorded. */
enum err read_condition_judge(struct request *request, const char *tag, bool *ret_not_modified) MUST_USE;

#endif
