/* http_client.c - the set of lines: made on demand up to the limit, kept while idle, the latest used first.
 *
 * Invariant under the mutex: `made` counts every line there is, idle or out; made <= max_lines.
 * The mutex is held only to link and unlink; waiting for a line uses its condition.
 */
#include "pools/object_store/http_client.h"

#include "pools/base/clock.h"
#include "pools/base/must.h"
#include "pools/base/mutex.h"
#include "pools/object_store/http_line.h"

#include <stdlib.h>

#define CANCEL_LOOK_NS (100 * NS_PER_MS) /* how often a waiting thread looks at its op */

struct http_client {
    struct mutex mutex;
    struct cond given;
    struct http_line *idle;
    unsigned made;
    struct http_limits limits;
};

static void line_free(struct http_line *line) {
    if (!line) {
        return;
    }
    curl_easy_cleanup(line->easy);
    curl_multi_cleanup(line->multi);
    free(line);
}

static struct http_line *line_new(void) {
    struct http_line *line = calloc(1, sizeof *line);
    if (!line) {
        return NULL;
    }
    line->easy = curl_easy_init();
    line->multi = curl_multi_init();
    if (!line->easy || !line->multi || curl_multi_setopt(line->multi, CURLMOPT_MAXCONNECTS, 1L) != CURLM_OK) {
        goto fail;
    }
    return line;
fail:
    line_free(line);
    return NULL;
}

struct http_client *http_client_new(const struct http_limits *limits) {
    MUST(limits->max_lines > 0);
    struct http_client *client = calloc(1, sizeof *client);
    if (!client) {
        return NULL;
    }
    /* Counted by libcurl and thread-safe since 7.84; undone in http_client_free. */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(client);
        return NULL;
    }
    mutex_init(&client->mutex, RANK_KIND_INNER);
    cond_init(&client->given);
    client->limits = *limits;
    return client;
}

void http_client_free(struct http_client *client) {
    if (!client) {
        return;
    }
    while (client->idle) {
        struct http_line *line = client->idle;
        client->idle = line->next;
        client->made--;
        line_free(line);
    }
    MUST(client->made == 0);
    cond_fini(&client->given);
    mutex_fini(&client->mutex);
    free(client);
    curl_global_cleanup();
}

const struct http_limits *http_client_limits(const struct http_client *client) {
    return &client->limits;
}

/* An idle line, or the right to make one: *ret_line NULL and true. */
static bool try_take(struct http_client *client, struct http_line **ret_line) {
    *ret_line = client->idle;
    if (client->idle) {
        client->idle = client->idle->next;
        return true;
    }
    if (client->made == client->limits.max_lines) {
        return false;
    }
    client->made++;
    return true;
}

enum err http_client_take(struct http_client *client, struct op *op, struct http_line **ret_line) {
    uint64_t give_up_ns = clock_now_ns() + client->limits.answer_ns;
    struct http_line *line = NULL;
    bool taken = false;
    enum err err = OK;
    mutex_lock(&client->mutex);
    while (!(taken = try_take(client, &line))) {
        err = op_check(op);
        uint64_t now = clock_now_ns();
        if (err != OK || now >= give_up_ns) {
            break;
        }
        cond_wait_until(&client->given, &client->mutex, now + op_left_ns(op, CANCEL_LOOK_NS));
    }
    mutex_unlock(&client->mutex);
    if (!taken) {
        return err != OK ? err : op_fail(op, REASON_BUSY, "all connections to the endpoint are in use");
    }
    if (!line) {
        line = line_new();
    }
    if (!line) {
        http_client_drop(client, NULL);
        return op_no_memory(op);
    }
    *ret_line = line;
    return OK;
}

void http_client_drop(struct http_client *client, struct http_line *take_line) {
    line_free(take_line);
    mutex_lock(&client->mutex);
    client->made--;
    cond_signal(&client->given);
    mutex_unlock(&client->mutex);
}

void http_client_give(struct http_client *client, struct http_line *take_line) {
    mutex_lock(&client->mutex);
    take_line->next = client->idle;
    client->idle = take_line;
    cond_signal(&client->given);
    mutex_unlock(&client->mutex);
}
