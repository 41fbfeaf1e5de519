/* reply.h - from the REST surface's answer to the HTTP library's response object.
 *
 * Bodies are never copied here: a text moves, an entry's body is shared by reference, a source is pulled or lends
 * its memory. The finished response
 * of a reusable answer stays with its entry (struct entry_note), so that the next hit only queues it. That response holds the
 * body's blob, not the entry: an entry that is evicted while it is being sent frees itself, and its body when the last client
 * has it.
 */
#ifndef SERVER_REPLY_H
#define SERVER_REPLY_H

#include "api/handler.h"

#include <microhttpd.h>

struct reply_options {
    bool is_head;
    bool close_after;
    /* for the header; where it is short, hints (Location, Link, Cache-Status, Access-Control-Expose-Headers) are left out. 0 = not known: all */
    size_t room_bytes;
    const void *
        mapped; /* the body of a BODY_SOURCE, borrowed until the library has ended the request; NULL = it is pulled */
    MHD_ContentReaderCallback reader; /* pulls BODY_SOURCE */
    void *reader_context;
};

/* Takes the text out of the response. NULL when out of memory. */
struct MHD_Response *reply_new(struct response *response, const struct reply_options *options);

bool reply_is_kept(const struct entry *entry);
/* Borrowed as long as the entry is referenced; NULL when none is kept. */
struct MHD_Response *reply_kept(const struct entry *entry);
/* Leaves the finished reply with the entry; when another thread was first or memory is short it is only dropped. Queue it before. */
void reply_keep(struct entry *entry, struct MHD_Response *take_reply);

/* The answer as bytes, for the one case in which the library cannot send it: in the middle of a request body. Only BODY_TEXT keeps
 * its body. */
enum err reply_format(const struct response *response, struct buf *buf) MUST_USE;

#endif
