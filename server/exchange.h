/* exchange.h - the set of all exchanges: what the listener plugs into the HTTP library, and the drain.
 *
 * One exchange is one request's life; exchange_parts.h has its states. Everything else about requests (routing, storage) is
 * api/ and pools/, which know neither sockets nor this library.
 */
#ifndef SERVER_EXCHANGE_H
#define SERVER_EXCHANGE_H

#include "api/handler.h"
#include "pools/base/executor.h"
#include "server/auth.h"
#include "server/cors.h"
#include "server/reaper.h"

#include <microhttpd.h>

struct exchanges;

/* Everything is borrowed until exchanges_free. */
struct exchanges_config {
    struct api *api;
    struct executor *executor;
    struct reaper *reaper;
    const struct auth *auth;
    const char *const *hosts; /* see screen.h */
    const struct cors *cors;  /* NULL = no page of another site may read anything */
    bool access_log;
    uint64_t step_timeout_ns; /* one step of a handler on a lane */
    size_t pipe_bytes;        /* per exchange and direction */
    /* of a body that nobody wants: read and thrown away to keep the connection in step */
    uint64_t discard_most_bytes;
};

struct exchanges *exchanges_new(const struct exchanges_config *config); /* NULL when out of memory */
/* After the listener has stopped and the executor is freed. */
void exchanges_free(struct exchanges *set);
DEFINE_AUTO(struct exchanges, exchanges_free)

/* From now on answers close their connection. Waits until no exchange is under way or the monotonic time has come; true when none is. */
bool exchanges_drain(struct exchanges *set, uint64_t deadline_ns);
/* The drain's time is over: what runs is cancelled, and who still waits for an answer gets 503. Waits until the answers are sent or the monotonic
 * time has come. */
void exchanges_turn_away(struct exchanges *set, uint64_t deadline_ns);
/* Cancels every exchange and resumes every parked one; none parks again. Must come before the HTTP library is stopped. */
void exchanges_hurry(struct exchanges *set);
/* After the library is stopped: waits until lanes have finished what clients left behind. */
void exchanges_settle(struct exchanges *set);

/* Callbacks; the context of each is the set. */
void exchange_on_connection(void *set, struct MHD_Connection *connection, void **socket_context,
                            enum MHD_ConnectionNotificationCode code);
void *exchange_on_target(void *set, const char *target, struct MHD_Connection *connection);
enum MHD_Result exchange_on_call(void *set, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload_data,
                                 size_t *upload_data_size, void **exchange);
void exchange_on_completed(void *set, struct MHD_Connection *connection, void **exchange,
                           enum MHD_RequestTerminationCode code);
/* The library is about to say something on the calling thread: see exchange_length.c. */
void exchanges_on_library_log(struct exchanges *set);
/* Leaves the URI as it is: paths are decoded once, by api/target. */
size_t exchange_keep_escapes(void *set, struct MHD_Connection *connection, char *text);

#endif
