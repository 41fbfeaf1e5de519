/* token_file.h - the bearer token from a file, so that it stands in no environment and no process list (a mounted secret). */
#ifndef SERVER_TOKEN_FILE_H
#define SERVER_TOKEN_FILE_H

#include "server/config.h"

/* After the environment was read: sets `token` from the file that `token_file` names, if it names one; line ends and blanks after the token
 * are dropped. The two are forms of one setting: either in the environment beats either in the configuration. False after a complaint: the
 * file cannot be read, holds no token or more than one word, or both came from one place. */
bool token_file_apply(struct config *config, struct complaint *complaint);

#endif
