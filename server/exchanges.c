/* exchanges.c - the set of exchanges: making, keeping, freeing, draining. See exchange_parts.h. */
#include "server/exchange_parts.h"

#include "pools/base/clock.h"
#include "pools/base/must.h"
#include "server/address.h"
#include "server/reply.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

/* ---- what handlers may ask ---- */

/* Only these may come after the body: their meaning does not depend on being known before it (RFC 9110, 6.5.1). */
static bool may_trail(const char *name) {
    return strcasecmp(name, "Content-Digest") == 0 || strcasecmp(name, "Repr-Digest") == 0;
}

static const struct header_field *find_trailer(const struct exchange *exchange, const char *name) {
    enum err ended = OK;
    return may_trail(name) && pipe_at_end(&exchange->in, &ended) ? headers_find(&exchange->trailers, name)
                                                                 : NULL;
}

static const char *find_header(const struct request *request, const char *name) {
    const struct exchange *exchange = CONTAINER_OF_CONST(request, struct exchange, request);
    const struct header_field *field = headers_find(&exchange->headers, name);
    if (!field && exchange->screened.has_body) {
        field = find_trailer(exchange, name);
    }
    return field ? field->value : NULL;
}

static bool has_prepared(const struct request *request, const struct entry *entry) {
    const struct exchange *exchange = CONTAINER_OF_CONST(request, struct exchange, request);
    return reply_is_kept(entry) && !exchange->closing && !exchange_has_own_answer(exchange);
}

static bool may(const struct request *request, enum scope scope) {
    const struct exchange *exchange = CONTAINER_OF_CONST(request, struct exchange, request);
    struct op op;
    op_init(&op, 0, 0);
    return auth_check(exchange->set->config.auth, &op, scope, find_header(request, "Authorization")) == OK;
}

static bool is_draining(const struct request *request) {
    const struct exchange *exchange = CONTAINER_OF_CONST(request, struct exchange, request);
    return atomic_load_explicit(&exchange->set->draining, memory_order_relaxed);
}

const struct request_io exchange_io = {
    .header = find_header,
    .read_body = exchange_read_body,
    .has_prepared = has_prepared,
    .may = may,
    .is_draining = is_draining,
};

/* ---- one exchange ---- */

static bool keep_target(struct exchange *exchange, const char *target) {
    exchange->target_place = (uintptr_t)target;
    exchange->target_bytes = strlen(target);
    if (exchange->target_bytes >= exchange->target_capacity) {
        size_t capacity = exchange->target_bytes + 256;
        char *room = realloc(exchange->target, capacity);
        if (!room) {
            return false;
        }
        exchange->target = room;
        exchange->target_capacity = capacity;
    }
    memcpy(exchange->target, target, exchange->target_bytes + 1);
    return true;
}

static struct exchange *exchange_new(struct exchanges *set) {
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange) {
        exchange->magic = EXCHANGE_MAGIC;
        exchange->set = set;
        mutex_init(&exchange->mutex, RANK_EXCHANGE);
        headers_init(&exchange->headers);
        headers_init(&exchange->trailers);
        pipe_init(&exchange->in);
        pipe_init(&exchange->out);
    }
    return exchange;
}

static struct exchange *take_spare(struct shelf *shelf) {
    struct exchange *exchange = shelf ? shelf->spares : NULL;
    if (exchange) {
        shelf->spares = exchange->next;
        shelf->count--;
    }
    return exchange;
}

void exchange_put_back(struct exchange *exchange) {
    struct shelf *shelf = exchange->client->shelf;
    if (!shelf || shelf->count == SHELF_MOST_SPARES) {
        exchange_free(exchange);
        return;
    }
    exchange->next = shelf->spares;
    shelf->spares = exchange;
    shelf->count++;
}

struct exchange *exchange_begin(struct exchanges *set, struct client *client,
                                struct MHD_Connection *connection, const char *target) {
    struct exchange *exchange = take_spare(client->shelf);
    exchange = exchange ? exchange : exchange_new(set);
    if (!exchange) {
        return NULL;
    }
    exchange->client = client;
    if (!keep_target(exchange, target)) {
        exchange_free(exchange);
        return NULL;
    }
    client->exchange = exchange;
    exchange->connection = connection;
    exchange->state = EXCHANGE_HEAD;
    exchange->closing = atomic_load_explicit(&set->draining, memory_order_relaxed);
    exchange->method[0] = '\0'; /* a head that breaks off is logged without one */
    exchange->screened = (struct screened){0};
    exchange->body_ended = false;
    exchange->received_bytes = 0;
    exchange->discarded_bytes = 0;
    exchange->status = 0;
    exchange->sent_bytes = 0;
    exchange->started_ns = set->config.access_log ? clock_now_ns() : 0;
    struct waker waker = {.wake = exchange_wake, .context = exchange};
    uint64_t request_id = atomic_fetch_add_explicit(&set->last_id, 1, memory_order_relaxed) + 1;
    request_init(&exchange->request, &exchange_io, set->config.api, request_id, waker);
    response_init(&exchange->response);
    exchange->finished = false;
    exchange->fault.reason = REASON_NONE;
    exchange->pumping = false;
    exchange->reads_now = false;
    exchange->mapped = NULL;
    exchange->pumped_bytes = 0;
    exchange->work = WORK_IDLE;
    exchange->open = true;
    exchange->on_lane = false;
    exchange->answered = false;
    exchange->parked = false;
    exchange->body_wanted = false;
    exchange->space_wanted = false;
    atomic_fetch_add_explicit(&set->active, 1, memory_order_relaxed);
    return exchange;
}

void exchange_list(struct exchange *exchange) {
    struct exchanges *set = exchange->set;
    mutex_lock(&set->mutex);
    exchange->next = set->first;
    exchange->previous = NULL;
    if (exchange->next) {
        exchange->next->previous = exchange;
    }
    set->first = exchange;
    exchange->listed = true;
    mutex_unlock(&set->mutex);
}

static void exchange_unlist(struct exchange *exchange) {
    struct exchanges *set = exchange->set;
    mutex_lock(&set->mutex);
    if (exchange->previous) {
        exchange->previous->next = exchange->next;
    } else {
        set->first = exchange->next;
    }
    if (exchange->next) {
        exchange->next->previous = exchange->previous;
    }
    exchange->listed = false;
    if (!set->first) {
        cond_broadcast(&set->drained);
    }
    mutex_unlock(&set->mutex);
}

void exchange_free(struct exchange *exchange) {
    if (!exchange) {
        return;
    }
    if (exchange->listed) {
        exchange_unlist(exchange);
    }
    headers_fini(&exchange->headers);
    headers_fini(&exchange->trailers);
    pipe_fini(&exchange->in);
    pipe_fini(&exchange->out);
    mutex_fini(&exchange->mutex);
    free(exchange->target);
    exchange->magic = 0;
    free(exchange);
}

void exchange_leave(struct exchanges *set) {
    size_t left = atomic_fetch_sub_explicit(&set->active, 1, memory_order_acq_rel) - 1;
    if (!left && atomic_load_explicit(&set->draining, memory_order_acquire)) {
        mutex_lock(&set->mutex);
        cond_broadcast(&set->drained);
        mutex_unlock(&set->mutex);
    }
}

/* ---- connections ---- */

static void format_client(const struct sockaddr *address, char ret_text[ADDRESS_TEXT_BYTES]) {
    struct listen_address copy = {.size = address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                                         : sizeof(struct sockaddr_in)};
    memcpy(&copy.storage, address, copy.size);
    listen_address_format(&copy, ret_text);
}

struct shelf *exchange_shelf(struct exchanges *set) {
    pthread_t self = pthread_self();
    unsigned count = atomic_load_explicit(&set->shelf_count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        if (pthread_equal(set->shelves[i].thread, self)) {
            return &set->shelves[i];
        }
    }
    return NULL;
}

static struct shelf *find_or_make_shelf(struct exchanges *set) {
    struct shelf *shelf = exchange_shelf(set);
    if (shelf) {
        return shelf;
    }
    mutex_lock(&set->mutex);
    unsigned count = atomic_load_explicit(&set->shelf_count, memory_order_relaxed);
    if (count < SHELVES_MOST) {
        shelf = &set->shelves[count];
        shelf->thread = pthread_self();
        atomic_store_explicit(&set->shelf_count, count + 1, memory_order_release);
    }
    mutex_unlock(&set->mutex);
    return shelf;
}

static void shelve(struct client *client, struct shelf *shelf) {
    client->shelf = shelf;
    if (shelf) {
        client->next = shelf->clients;
        if (client->next) {
            client->next->previous = client;
        }
        shelf->clients = client;
    }
}

static void unshelve(struct client *client) {
    if (client->previous) {
        client->previous->next = client->next;
    } else if (client->shelf) {
        client->shelf->clients = client->next;
    }
    if (client->next) {
        client->next->previous = client->previous;
    }
}

/* NULL when out of memory: then the connection ends here, because nobody would watch it. */
static struct client *client_new(struct exchanges *set, struct MHD_Connection *connection) {
    /* Each answer of MHD_get_connection_info is good until the next: from 1.0 on they share their memory. */
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int fd = info ? info->connect_fd : -1;
    struct client *client = calloc(1, sizeof *client);
    if (!client) {
        (void)shutdown(fd, SHUT_RDWR);
        return NULL;
    }
    if (set->config.access_log) {
        info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        if (info && info->client_addr) {
            format_client(info->client_addr, client->address);
        }
    }
    shelve(client, find_or_make_shelf(set));
    reaper_watch(set->config.reaper, &client->watch, fd);
    return client;
}

void exchange_on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                            enum MHD_ConnectionNotificationCode code) {
    struct exchanges *set = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = client_new(set, connection);
        return;
    }
    struct client *client = *socket_context;
    *socket_context = NULL;
    if (client) {
        unshelve(client);
        reaper_forget(set->config.reaper, &client->watch);
        free(client);
    }
}

/* ---- the set ---- */

struct exchanges *exchanges_new(const struct exchanges_config *config) {
    struct exchanges *set = calloc(1, sizeof *set);
    if (set) {
        set->config = *config;
        mutex_init(&set->mutex, RANK_EXCHANGES);
        cond_init(&set->drained);
    }
    return set;
}

void exchanges_free(struct exchanges *set) {
    if (!set) {
        return;
    }
    MUST(!set->first && !atomic_load(&set->active));
    for (unsigned i = 0; i < set->shelf_count; i++) {
        struct exchange *exchange = NULL;
        while ((exchange = take_spare(&set->shelves[i])) != NULL) {
            exchange_free(exchange);
        }
    }
    cond_fini(&set->drained);
    mutex_fini(&set->mutex);
    free(set);
}

bool exchanges_are_turning_away(struct exchanges *set) {
    return atomic_load_explicit(&set->turning_away, memory_order_acquire);
}

bool exchanges_are_hurrying(struct exchanges *set) {
    return atomic_load_explicit(&set->hurrying, memory_order_acquire);
}

bool exchanges_drain(struct exchanges *set, uint64_t deadline_ns) {
    atomic_store(&set->draining, true);
    mutex_lock(&set->mutex);
    while (atomic_load(&set->active) && clock_now_ns() < deadline_ns) {
        cond_wait_until(&set->drained, &set->mutex, deadline_ns);
    }
    mutex_unlock(&set->mutex);
    return atomic_load(&set->active) == 0;
}

void exchanges_turn_away(struct exchanges *set, uint64_t deadline_ns) {
    atomic_store_explicit(&set->turning_away, true, memory_order_release);
    mutex_lock(&set->mutex);
    for (struct exchange *exchange = set->first; exchange; exchange = exchange->next) {
        mutex_lock(&exchange->mutex);
        if (exchange->open && !exchange->answered) {
            atomic_store(&exchange->request.op.cancelled, true);
            exchange_schedule(exchange);
        }
        mutex_unlock(&exchange->mutex);
    }
    mutex_unlock(&set->mutex);
    (void)exchanges_drain(set, deadline_ns);
}

void exchanges_hurry(struct exchanges *set) {
    atomic_store(&set->draining, true);
    atomic_store_explicit(&set->hurrying, true, memory_order_release);
    mutex_lock(&set->mutex);
    for (struct exchange *exchange = set->first; exchange; exchange = exchange->next) {
        atomic_store(&exchange->request.op.cancelled, true);
        mutex_lock(&exchange->mutex);
        exchange_unpark(exchange);
        mutex_unlock(&exchange->mutex);
    }
    mutex_unlock(&set->mutex);
}

void exchanges_settle(struct exchanges *set) {
    mutex_lock(&set->mutex);
    while (set->first) {
        cond_wait_until(&set->drained, &set->mutex, 0);
    }
    mutex_unlock(&set->mutex);
}
