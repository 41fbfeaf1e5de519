/* entry_answer.h - what the entry routes share: the id, conditions of a read, an entry's header fields. */
#ifndef API_ENTRY_ANSWER_H
#define API_ENTRY_ANSWER_H

#include "api/handler.h"
#include "api/range.h"

/* The id from the path, or from ?id=. ERR_INVALID (REASON_INVALID_ID). Valid while the request is. */
enum err entry_id(struct request *request, struct id *ret_id) MUST_USE;

/* Whether the request has conditions at all. */
bool entry_has_conditions(const struct request *request);
/* What is no precondition at all is refused whatever the entry is like, wherever it lies and whether it is there. ERR_INVALID. */
enum err entry_check_conditions(struct request *request) MUST_USE;
/* If-Match and If-None-Match of a read, judged on what would be served (RFC 9110 13.2.2). ERR_PRECONDITION
 * recorded. */
enum err entry_judge_read(struct request *request, const struct meta *meta, bool *ret_not_modified) MUST_USE;
/* The same fields of a write or delete, as what the pool is to judge. */
enum err entry_write_condition(struct request *request, struct condition *ret_condition) MUST_USE;

/* Which part of the entry a GET is to be answered with; false = all of it. ERR_INVALID for a malformed Range, ERR_RANGE when the entry
 * has no byte of it. */
enum err entry_wanted_part(struct request *request, const struct meta *meta, bool *ret_is_part,
                           struct range_part *ret_part) MUST_USE;

enum entry_form { ENTRY_FOR_GET, ENTRY_FOR_HEAD };
/* 200 without a body yet: status, content_length and every field but Cache-Status. */
void entry_describe(const struct request *request, struct response *response, const struct meta *meta,
                    enum entry_form form);
/* What is said of the bytes that are sent: all of them and their digest, or a 206 with that part, whose own digest nobody has worked out. part
 * NULL = all. Not for HEAD, which sends none. */
void entry_describe_content(struct response *response, const struct meta *meta,
                            const struct range_part *part);
/* The answer to a Range that cannot be had; a 416 says how large the entry is. */
void entry_range_failed(struct request *request, struct response *response, const struct meta *meta,
                        enum err kind);
/* 304 likewise. */
void entry_not_modified(const struct request *request, struct response *response, const struct meta *meta,
                        enum entry_form form);
/* ETag, when there is one that may stand in a header. */
void entry_tag(struct response *response, const struct meta *meta);
/* The answer to a write or delete that failed; a 412 says when a tier below has what the pool lacks. */
enum api_step entry_write_failed(struct request *request, struct response *response, const struct id *id,
                                 enum err kind);
/* The entry's path, its id encoded canonically. */
void entry_location(struct response *response, const char *nickname, const struct id *id);

#endif
