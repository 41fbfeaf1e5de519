/* exchange_length.c - a Content-Length that is no number, answered once. See exchange_parts.h.
 *
 * libmicrohttpd 0.9.75 judges this field after the header block, before any of our calls, and sends the header of its own answer
 * twice, the second in place of the first one's body. But first it tells its log. There the field is looked for among the heads
 * that this poll thread is reading, the answer is written past the library, and the socket is shut for writing, so that the
 * library's answer goes nowhere. From 1.0 on the library answers once, and it is left to it.
 */
#include "server/exchange_parts.h"

#include "api/api.h"

#include <sys/socket.h>

#if MHD_VERSION < 0x01000000
/* As the library reads it: digits and nothing else, a trailing blank included. */
static bool is_number(const char *text, size_t bytes) {
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++) {
        uint64_t digit = (uint64_t)(unsigned char)text[i] - '0';
        if (digit > 9 || number > (UINT64_MAX - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    return bytes > 0;
}

static bool has_bad_length(const struct exchange *exchange) {
    static const char name[] = "Content-Length";
    const char *value = NULL;
    size_t bytes = 0;
    return MHD_lookup_connection_value_n(exchange->connection, MHD_HEADER_KIND, name, sizeof name - 1, &value,
                                         &bytes) == MHD_YES &&
           !is_number(value, bytes);
}

static void refuse(struct exchange *exchange) {
    struct request *request = &exchange->request;
    enum err err = op_fail(&request->op, REASON_INVALID_HEADER, "Content-Length is not a number");
    api_problem(request, &exchange->response, &request->op, err);
    exchange_answer_by_hand(exchange);
    (void)shutdown(exchange->client->watch.fd, SHUT_WR); /* the library's sending fails, and it closes */
}

/* Any thread, any lock may be held: the library may have something to say about suspending, too. */
void exchanges_on_library_log(struct exchanges *set) {
    struct shelf *shelf = exchange_shelf(set);
    for (struct client *client = shelf ? shelf->clients : NULL; client; client = client->next) {
        struct exchange *exchange = client->exchange;
        if (exchange && exchange->state == EXCHANGE_HEAD && has_bad_length(exchange)) {
            refuse(exchange);
        }
    }
}
#else
void exchanges_on_library_log(struct exchanges *set) {
    (void)set;
}
#endif
