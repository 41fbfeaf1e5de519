/* service.c - see service.h. One request at a time; wakes come from the executor's threads. */
#include "tests/unit/api/service.h"

#include "pools/base/must.h"
#include "pools/kinds.h"

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct service {
    char folder[64];
    struct op op;
    struct state *state;
    struct pool_environment environment;
    struct registry *registry;
    struct wiring *wiring;
    struct spool_dir *spool_dir;
    struct executor *executor;
    struct flights *flights;
    struct api api;
    bool is_prepared;
    struct answer answer;
};

/* ---- a pool that is down ---- */

struct down {
    struct pool pool;
    enum pool_state state;
};

static enum err down_fail(struct op *op) {
    return op_fail(op, REASON_UNAVAILABLE, "nobody answers");
}
static enum err down_open_reader(struct pool *pool, struct op *op, const struct id *id,
                                 const struct read_options *options, struct reader **ret_reader) {
    (void)pool, (void)id, (void)options, (void)ret_reader;
    return down_fail(op);
}
static enum err down_open_writer(struct pool *pool, struct op *op, const struct id *id,
                                 const struct write_options *options, struct writer **ret_writer) {
    (void)pool, (void)id, (void)options, (void)ret_writer;
    return down_fail(op);
}
static enum err down_stat(struct pool *pool, struct op *op, const struct id *id, struct meta *ret_meta) {
    (void)pool, (void)id, (void)ret_meta;
    return down_fail(op);
}
static enum err down_remove(struct pool *pool, struct op *op, const struct id *id,
                            const struct condition *condition, bool *ret_existed) {
    (void)pool, (void)id, (void)condition, (void)ret_existed;
    return down_fail(op);
}
static enum err down_list(struct pool *pool, struct op *op, const char *prefix, const char *cursor,
                          unsigned limit, struct listing *ret_listing) {
    (void)pool, (void)prefix, (void)cursor, (void)limit, (void)ret_listing;
    return down_fail(op);
}
static enum err down_empty(struct pool *pool, struct op *op, uint64_t *ret_removed) {
    (void)pool;
    *ret_removed = 3;
    return down_fail(op);
}
static void down_status(struct pool *pool, struct pool_status *ret_status) {
    const struct down *down = CONTAINER_OF(pool, struct down, pool);
    *ret_status = (struct pool_status){.state = down->state, .reason = "nobody answers"};
}
static void down_close(struct pool *pool) {
    pool_fini(pool);
    free(CONTAINER_OF(pool, struct down, pool));
}

static const struct pool_ops down_ops = {
    .kind = "down",
    .open_reader = down_open_reader,
    .open_writer = down_open_writer,
    .stat = down_stat,
    .remove = down_remove,
    .list = down_list,
    .empty = down_empty,
    .status = down_status,
    .close = down_close,
};

static enum err down_open(struct op *op, const struct pool_environment *environment, const char *nickname,
                          struct settings *settings, struct pool **ret_pool) {
    (void)op, (void)environment;
    static const struct pool_capabilities capabilities = {.remote = true};
    struct down *down = calloc(1, sizeof *down);
    MUST(down);
    down->state = POOL_UNAVAILABLE;
    pool_init(&down->pool, &down_ops, &capabilities, nickname, settings);
    *ret_pool = &down->pool;
    return OK;
}

static const struct option down_options[] = {
    {.name = "bucket", .type = OPTION_TEXT, .default_text = "b"},
    {.name = "secret_access_key", .type = OPTION_TEXT, .secret = true},
};
static const struct pool_kind down_kind = {
    .name = "down", .options = down_options, .option_count = ARRAY_COUNT(down_options), .open = down_open};

/* ---- the domain ---- */

static void declare(struct service *service, const char *nickname, const struct pool_kind *kind) {
    struct settings *settings = settings_new(kind->options, kind->option_count);
    bool opened = false;
    if (kind == &down_kind) {
        MUST(settings_set_text(settings, &service->op, "secret_access_key", "hunter2") == OK);
    }
    MUST(settings_finish(settings, &service->op) == OK);
    MUST(registry_declare(service->registry, &service->op, nickname, kind, settings, &opened) == OK);
    MUST(opened);
}

static const char *find_secret(void *context, const char *name) {
    (void)context;
    return strcmp(name, "ALLOWED") == 0 ? "expanded" : NULL;
}

struct service *service_open(void) {
    static const unsigned most_threads[LANE_COUNT] = {1, 1, 2, 2};
    static const struct flights_limits limits = {.entry_most_bytes = SMALL_BODY_BYTES,
                                                 .flight_max_bytes = 65536};
    struct service *service = calloc(1, sizeof *service);
    MUST(service);
    op_init(&service->op, 0, 0);
    snprintf(service->folder, sizeof service->folder, "/tmp/test_api_XXXXXX");
    MUST(mkdtemp(service->folder));
    MUST(state_open(&service->op, service->folder, &service->state) == OK);
    char spool[96];
    snprintf(spool, sizeof spool, "%s/spool", service->folder);
    MUST(spool_dir_open(&service->op, spool, 1 << 26, &service->spool_dir) == OK);
    service->environment =
        (struct pool_environment){.data_dir = service->folder, .spool_dir = service->spool_dir};
    const struct secret_names names = {.find = find_secret};
    service->registry = registry_new(&service->environment, &names, service->state);
    service->wiring = wiring_new(service->registry, service->state);
    service->executor = executor_new(most_threads);
    service->flights = flights_new(service->executor, service->spool_dir, &limits);
    MUST(service->registry && service->wiring && service->executor && service->flights);
    const struct pool_kind *memory = kinds_find("memory");
    declare(service, "alpha", memory);
    declare(service, "cold", memory);
    declare(service, "far", memory);
    declare(service, "down", &down_kind);
    MUST(wiring_start(service->wiring, &service->op, "") == OK);
    service->api = (struct api){
        .registry = service->registry,
        .wiring = service->wiring,
        .flights = service->flights,
        .version = "test",
        .json_most_bytes = 1 << 20,
        .body_most_bytes = 1 << 22,
    };
    return service;
}

static int remove_one(const char *path, const struct stat *stat, int flag, struct FTW *ftw) {
    (void)stat, (void)flag, (void)ftw;
    return remove(path);
}

static void drop_answer(struct service *service) {
    free(service->answer.body);
    response_fini(&service->answer.response);
    memset(&service->answer, 0, sizeof service->answer);
}

void service_close(struct service *service) {
    drop_answer(service);
    flights_drain(service->flights, true);
    executor_free(service->executor);
    flights_free(service->flights);
    wiring_free(service->wiring);
    registry_free(service->registry);
    spool_dir_close(service->spool_dir);
    state_close(service->state);
    nftw(service->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(service);
}

struct api *service_api(struct service *service) {
    return &service->api;
}

void service_set_prepared(struct service *service, bool is_prepared) {
    service->is_prepared = is_prepared;
}

/* ---- one request ---- */

struct client {
    struct request request;
    struct service *service;
    const struct call *call;
    size_t body_bytes;
    size_t sent;
    bool at_end; /* the handler has seen the end of the body */
    bool rested;
    pthread_mutex_t mutex;
    pthread_cond_t woken;
    bool is_woken;
};

static void wake(void *context) {
    struct client *client = context;
    pthread_mutex_lock(&client->mutex);
    client->is_woken = true;
    pthread_cond_signal(&client->woken);
    pthread_mutex_unlock(&client->mutex);
}

static void await_wake(struct client *client) {
    pthread_mutex_lock(&client->mutex);
    while (!client->is_woken) {
        pthread_cond_wait(&client->woken, &client->mutex);
    }
    client->is_woken = false;
    pthread_mutex_unlock(&client->mutex);
}

static const char *find_field(const char *const (*fields)[2], size_t most, const char *name) {
    for (size_t i = 0; i < most && fields[i][0]; i++) {
        if (strcasecmp(fields[i][0], name) == 0) {
            return fields[i][1];
        }
    }
    return NULL;
}

static const char *header(const struct request *request, const char *name) {
    const struct client *client = CONTAINER_OF_CONST(request, struct client, request);
    const struct call *call = client->call;
    const char *value = find_field(call->fields, ARRAY_COUNT(call->fields), name);
    return value || !client->at_end ? value : find_field(call->trailers, ARRAY_COUNT(call->trailers), name);
}

static enum err read_body(struct request *request, void *ret_bytes, size_t cap, size_t *ret_count) {
    struct client *client = CONTAINER_OF(request, struct client, request);
    const struct call *call = client->call;
    if (call->cut_after && client->sent >= call->cut_after) {
        return op_fail(&request->op, REASON_CANCELLED, "the client left");
    }
    size_t left = client->body_bytes - client->sent;
    if (call->in_drops && left) {
        client->rested = !client->rested;
        if (client->rested) {
            wake(client);
            return ERR_AGAIN;
        }
        left = 1;
    }
    *ret_count = left < cap ? left : cap;
    if (*ret_count) {
        memcpy(ret_bytes, call->body + client->sent, *ret_count);
    }
    client->sent += *ret_count;
    client->at_end = *ret_count == 0;
    return OK;
}

static bool has_prepared(const struct request *request, const struct entry *entry) {
    (void)entry;
    return CONTAINER_OF_CONST(request, struct client, request)->service->is_prepared;
}

static const struct request_io io = {.header = header, .read_body = read_body, .has_prepared = has_prepared};

static enum http_method method_of(const char *text) {
    for (int method = METHOD_GET; method < METHOD_OTHER; method++) {
        static const char *const names[] = {"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"};
        if (strcmp(names[method], text) == 0) {
            return (enum http_method)method;
        }
    }
    return METHOD_OTHER;
}

static void pull_body(struct client *client, struct response *response, struct buf *body) {
    for (;;) {
        char piece[1000];
        size_t count = 0;
        enum err err =
            response->source.read(response->source.context, &client->request.op, piece, sizeof piece, &count);
        if (err == ERR_AGAIN) {
            await_wake(client);
            continue;
        }
        MUST(err == OK);
        if (!count) {
            return;
        }
        MUST(buf_append(body, piece, count) == OK);
    }
}

static void take_body(struct client *client, struct answer *answer) {
    struct response *response = &answer->response;
    struct buf body;
    buf_init(&body, 1 << 24);
    MUST(buf_append_text(&body, "") == OK);
    switch (response->body_kind) {
    case BODY_NONE:
        break;
    case BODY_TEXT:
        MUST(buf_append(&body, response->text.data, response->text.size) == OK);
        break;
    case BODY_ENTRY:
        MUST(buf_append(&body, response->entry->body->data, response->entry->body->size) == OK);
        break;
    case BODY_SOURCE:
        pull_body(client, response, &body);
        break;
    }
    answer->body_bytes = body.size;
    answer->body = buf_steal(&body);
}

const struct answer *service_call(struct service *service, const struct call *call) {
    drop_answer(service);
    struct answer *answer = &service->answer;
    struct client *client = calloc(1, sizeof *client);
    MUST(client);
    pthread_mutex_init(&client->mutex, NULL);
    pthread_cond_init(&client->woken, NULL);
    client->service = service;
    client->call = call;
    client->body_bytes = call->body ? (call->body_bytes ? call->body_bytes : strlen(call->body)) : 0;
    struct request *request = &client->request;
    request->io = &io;
    request->api = &service->api;
    request->method_text = call->method ? call->method : "GET";
    request->method = method_of(request->method_text);
    request->body_length = call->chunked ? BODY_LENGTH_UNKNOWN : client->body_bytes;
    request->waker = (struct waker){.wake = wake, .context = client};
    op_init(&request->op, 1, UINT64_C(30) * 1000000000);
    response_init(&answer->response);

    enum api_step step = api_route(request, &answer->response, call->target);
    if (step == API_LANE) {
        step = api_peek(request, &answer->response);
        answer->from_peek = step == API_DONE;
    }
    while (step != API_DONE) {
        step =
            request->run_now ? api_run_now(request, &answer->response) : api_run(request, &answer->response);
        if (step == API_WAIT) {
            await_wake(client);
        }
    }
    answer->status = answer->response.status;
    answer->reusable = answer->response.reusable;
    answer->body_kind = answer->response.body_kind;
    answer->content_length = answer->response.content_length;
    take_body(client, answer);
    /* The body's owner ends with the exchange, as the server does it. */
    if (answer->response.source.close) {
        answer->response.source.close(answer->response.source.context);
        answer->response.source = (struct body_source){0};
    }
    api_finish(request);
    pthread_cond_destroy(&client->woken);
    pthread_mutex_destroy(&client->mutex);
    free(client);
    return answer;
}

const char *answer_field(const struct answer *answer, const char *name) {
    const char *value = response_get_header(&answer->response, name);
    return value ? value : "";
}

const struct answer *service_get(struct service *service, const char *target) {
    return service_call(service, &(struct call){.target = target});
}

const struct answer *service_put(struct service *service, const char *target, const char *body) {
    return service_call(service, &(struct call){.method = "PUT", .target = target, .body = body});
}

const struct answer *service_send_json(struct service *service, const char *method, const char *target,
                                       const char *json) {
    return service_call(service, &(struct call){.method = method,
                                                .target = target,
                                                .body = json,
                                                .fields = {{"Content-Type", "application/json"}}});
}

void service_set_down_state(struct service *service, enum pool_state state) {
    AUTO(pool_unref) struct pool *pool = registry_get(service->registry, "down");
    MUST(pool);
    CONTAINER_OF(pool, struct down, pool)->state = state;
}
