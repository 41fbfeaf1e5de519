/* token_file.h - the bearer token from a file, so that it stands in no environment and no process list (a mounted secret). */
#ifndef SERVER_TOKEN_FILE_H
#define SERVER_TOKEN_FILE_H

#include "pools/settings.h"
#include "server/complaint.h"

#define TOKEN_MOST_BYTES 4096

/* Sets `token` from the file that `token_file` names, if it names one; line ends and blanks after the token are dropped. False after
 * a complaint: the file cannot be read, holds no token or more than one word, or the token was told as well. */
bool token_file_apply(struct settings *params, struct complaint *complaint);

#endif
