/* chain_now.c - what a poll thread does for a read itself: begin the walk of one that nothing local can answer, and take the answer that a
 * flight has for it. Neither waits for storage, and no lane has anything to do for such a read. See chain.c for the states.
 */
#include "pools/chain/chain_read.h"

/* Whether every tier before the first one behind a network says from memory that it does not have the entry. Where one may have it, or has
 * to look, a lane answers sooner than a flight would: it looks itself. */
static bool leads_to_network(const struct chain_read *read) {
    for (unsigned i = 0; i < read->tiers->count; i++) {
        struct pool *pool = read->tiers->tier[i].pool;
        struct meta meta;
        if (pool->capabilities.remote) {
            return true;
        }
        enum err err = pool_peek_meta(pool, &read->id, &meta);
        if (err == OK) {
            meta_fini(&meta);
        }
        if (err != ERR_NOT_FOUND) {
            return false;
        }
    }
    return false;
}

static bool may_begin(const struct chain_read *read) {
    return !read->is_alone && !read->wants_part && !read->refresh && !read->beginnings &&
           leads_to_network(read);
}

enum err chain_read_poll_now(struct chain_read *read, struct op *op, bool *ret_needs_lane) {
    struct flight_answer answer;
    *ret_needs_lane = true;
    if (read->state == READ_FRESH && (!may_begin(read) || chain_read_enter(read, op, true))) {
        return ERR_AGAIN; /* the lane's own attempt tells what is wrong */
    }
    if (read->state != READ_WAITING) {
        return ERR_AGAIN;
    }
    if (flight_poll(read->flights, &read->ticket, &answer)) {
        *ret_needs_lane = op_check(op) != OK;
        return ERR_AGAIN;
    }
    if (answer.kind == FLIGHT_DIRECT) {
        pool_unref(answer.pool);
        return ERR_AGAIN;
    }
    enum err err = chain_read_take_answer(read, op, &answer);
    *ret_needs_lane = !err && !read->entry; /* a growing body is pulled */
    return *ret_needs_lane ? ERR_AGAIN : err;
}
