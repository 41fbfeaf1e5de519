/* s3_pool.c - the kind "s3": options, opening, status, closing. The slots are in the files README.md names. */
#include "pools/s3/s3_pool.h"

#include "pools/base/clock.h"
#include "pools/base/must.h"
#include "pools/base/percent.h"
#include "pools/s3/s3_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define PREFIX_MOST_BYTES 512

static const char *const addressings[] = {"path", "virtual", NULL};

static const struct option s3_options[] = {
    {.name = "bucket",
     .type = OPTION_TEXT,
     .required = true,
     .fallback_secret = "AWS_BUCKET_NAME",
     .sentence = "The bucket. It must exist; it is never created."},
    {.name = "prefix",
     .type = OPTION_TEXT,
     .default_text = "",
     .sentence =
         "Put before every object's name, as it is. Objects outside it are neither seen nor touched."},
    {.name = "endpoint",
     .type = OPTION_TEXT,
     .sentence = "http:// or https:// address of the store; by default that of AWS for the region."},
    {.name = "region",
     .type = OPTION_TEXT,
     .default_text = "us-east-1",
     .fallback_secret = "AWS_REGION",
     .sentence = "The bucket's region, part of every signature."},
    {.name = "addressing",
     .type = OPTION_CHOICE,
     .choices = addressings,
     .sentence = "Where the bucket's name goes: the path, or the host. By default the path when an endpoint "
                 "is given."},
    {.name = "access_key_id",
     .type = OPTION_TEXT,
     .secret = true,
     .fallback_secret = "AWS_ACCESS_KEY_ID",
     .sentence = "Who asks."},
    {.name = "secret_access_key",
     .type = OPTION_TEXT,
     .secret = true,
     .fallback_secret = "AWS_SECRET_ACCESS_KEY",
     .sentence = "Signs the requests; never sent."},
    {.name = "session_token",
     .type = OPTION_TEXT,
     .secret = true,
     .fallback_secret = "AWS_SESSION_TOKEN",
     .sentence = "With temporary credentials only."},
    {.name = "max_parallel",
     .type = OPTION_COUNT,
     .default_text = "32",
     .least = 1,
     .most = 256,
     .sentence = "Requests to the store at once, each on a connection of its own. One pool has half of "
                 "fetch_threads at "
                 "most: those should be twice this and exceed the sum over all pools."},
};

struct s3_pool *s3_pool_checked(struct pool *pool) {
    struct s3_pool *s3 = CONTAINER_OF(pool, struct s3_pool, pool);
    MUST(s3->magic == S3_POOL_MAGIC);
    return s3;
}

/* ---- options ---- */

static enum err refuse(struct op *op, const char *option, const char *expected) {
    return op_fail(op, REASON_INVALID_CONFIG, "%s must be %s", option, expected);
}

static bool only(const char *text, const char *allowed) {
    return text[strspn(text, allowed)] == '\0';
}

#define LETTERS_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static bool printable(const char *text) {
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7f) {
            return false;
        }
    }
    return true;
}

static enum err check_texts(struct op *op, const struct s3_pool *s3) {
    size_t bucket_bytes = strlen(s3->bucket);
    if (bucket_bytes == 0 || bucket_bytes > 255 || !only(s3->bucket, LETTERS_DIGITS "._-") ||
        strcmp(s3->bucket, ".") == 0 || strcmp(s3->bucket, "..") == 0) {
        return refuse(op, "bucket", "1 to 255 letters, digits, '.', '_' and '-'");
    }
    if (strlen(s3->prefix) > PREFIX_MOST_BYTES || !utf8_valid(s3->prefix, strlen(s3->prefix))) {
        return refuse(op, "prefix", "UTF-8 text of at most 512 bytes");
    }
    for (const char *at = s3->prefix; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) {
            return refuse(op, "prefix", "free of control characters");
        }
    }
    if (s3->region[0] == '\0' || strlen(s3->region) > 63 || !only(s3->region, LETTERS_DIGITS "-")) {
        return refuse(op, "region", "a region's name, like us-east-1");
    }
    const char *const secrets[][2] = {{"access_key_id", s3->access_key_id},
                                      {"secret_access_key", s3->secret_access_key},
                                      {"session_token", s3->session_token}};
    for (size_t i = 0; i < ARRAY_COUNT(secrets); i++) {
        const char *text = secrets[i][1];
        if (text && (strlen(text) > 4096 || !printable(text))) {
            return refuse(op, secrets[i][0], "at most 4096 printable characters without spaces");
        }
    }
    return OK;
}

/* HOST[:PORT]; an IPv6 address stands in brackets. */
static bool is_authority(const char *text) {
    const char *end = *text == '[' ? strchr(text, ']') : text + strcspn(text, ":[]");
    if (!end || end == text + (*text == '[')) {
        return false;
    }
    end += *end == ']';
    if (*end == '\0') {
        return true;
    }
    const char *port = end + 1;
    size_t digits = strlen(port);
    return *end == ':' && digits > 0 && digits <= 5 && only(port, "0123456789") &&
           strtoul(port, NULL, 10) > 0 && strtoul(port, NULL, 10) <= 65535;
}

/* "https://host[:port][/path]" in its parts; the host as the Host field says it: lower case, without a default port. */
static enum err split_endpoint(struct op *op, const char *endpoint, bool *ret_tls, char *ret_host,
                               size_t host_cap, const char **ret_path) {
    static const char expected[] = "http://HOST[:PORT] or https://HOST[:PORT], with a path at most";
    bool tls = strncmp(endpoint, "https://", 8) == 0;
    if (!tls && strncmp(endpoint, "http://", 7) != 0) {
        return refuse(op, "endpoint", expected);
    }
    const char *authority = endpoint + (tls ? 8 : 7);
    size_t bytes = strcspn(authority, "/");
    const char *path = authority + bytes;
    if (bytes == 0 || bytes >= host_cap || !only(path, LETTERS_DIGITS "-._~/%")) {
        return refuse(op, "endpoint", expected);
    }
    for (size_t i = 0; i < bytes; i++) {
        char byte = authority[i];
        bool upper = byte >= 'A' && byte <= 'Z';
        ret_host[i] = (char)(upper ? byte - 'A' + 'a' : byte);
    }
    ret_host[bytes] = '\0';
    if (!only(ret_host, LETTERS_DIGITS "-._:[]") || !is_authority(ret_host)) {
        return refuse(op, "endpoint", expected);
    }
    const char *default_port = tls ? ":443" : ":80";
    size_t port_bytes = strlen(default_port);
    if (bytes > port_bytes && strcmp(ret_host + bytes - port_bytes, default_port) == 0) {
        ret_host[bytes - port_bytes] = '\0';
    }
    *ret_tls = tls;
    *ret_path = path;
    return OK;
}

static enum err set_address(struct op *op, struct s3_pool *s3, const struct settings *settings) {
    char by_region[128];
    const char *endpoint = settings_text(settings, "endpoint");
    const char *addressing = settings_text(settings, "addressing");
    bool by_host = addressing ? strcmp(addressing, "virtual") == 0 : !endpoint;
    if (!endpoint) {
        snprintf(by_region, sizeof by_region, "https://s3.%s.amazonaws.com", s3->region);
        endpoint = by_region;
    }
    char host[S3_HOST_BYTES / 2];
    bool tls = false;
    const char *path = "";
    enum err err = split_endpoint(op, endpoint, &tls, host, sizeof host, &path);
    if (err != OK) {
        return err;
    }
    size_t path_bytes = strlen(path);
    path_bytes -= path_bytes > 0 && path[path_bytes - 1] == '/' ? 1 : 0;
    if (path_bytes > S3_HOST_BYTES / 2 - 2) {
        return refuse(op, "endpoint", "shorter");
    }
    snprintf(s3->host, sizeof s3->host, "%s%s%s", by_host ? s3->bucket : "", by_host ? "." : "", host);
    snprintf(s3->base_url, sizeof s3->base_url, "%s://%s", tls ? "https" : "http", s3->host);
    snprintf(s3->bucket_path, sizeof s3->bucket_path, "%.*s%s%s", (int)path_bytes, path, by_host ? "" : "/",
             by_host ? "" : s3->bucket);
    return OK;
}

static enum err read_settings(struct op *op, struct s3_pool *s3, const struct settings *settings) {
    s3->bucket = settings_text(settings, "bucket");
    s3->prefix = settings_text(settings, "prefix");
    s3->region = settings_text(settings, "region");
    s3->access_key_id = settings_text(settings, "access_key_id");
    s3->secret_access_key = settings_text(settings, "secret_access_key");
    s3->session_token = settings_text(settings, "session_token");
    enum err err = check_texts(op, s3);
    if (err != OK) {
        return err;
    }
    /* Half a pair signs nothing, and an empty text is as good as none. */
    bool both = s3->access_key_id && s3->access_key_id[0] != '\0' && s3->secret_access_key &&
                s3->secret_access_key[0] != '\0';
    if (!both) {
        s3->access_key_id = NULL;
        s3->secret_access_key = NULL;
    }
    if (s3->session_token && s3->session_token[0] == '\0') {
        s3->session_token = NULL;
    }
    return set_address(op, s3, settings);
}

static enum err s3_check(struct op *op, const struct settings *settings) {
    struct s3_pool *s3 = calloc(1, sizeof *s3); /* as large as an instance, and read_settings fills one */
    enum err err = s3 ? read_settings(op, s3, settings) : op_no_memory(op);
    free(s3);
    return err;
}

/* ---- slots ---- */

static void s3_status(struct pool *pool, struct pool_status *ret_status) {
    struct s3_pool *s3 = s3_pool_checked(pool);
    *ret_status = (struct pool_status){.state = POOL_OK};
    if (!s3->secret_access_key) {
        ret_status->state = POOL_NEEDS_CREDENTIALS;
        snprintf(ret_status->reason, sizeof ret_status->reason,
                 "access_key_id and secret_access_key are not both set");
    } else if (atomic_load(&s3->down)) {
        ret_status->state = POOL_UNAVAILABLE;
        mutex_lock(&s3->mutex);
        memcpy(ret_status->reason, s3->down_reason, sizeof ret_status->reason);
        mutex_unlock(&s3->mutex);
    }
    ret_status->foreign_known = atomic_load(&s3->foreign_known);
    ret_status->foreign = atomic_load(&s3->foreign);
}

static void s3_free(struct s3_pool *s3) {
    http_client_free(s3->client);
    s3_journal_close(s3->journal);
    mutex_fini(&s3->mutex);
    explicit_bzero(&s3->signing_key, sizeof s3->signing_key);
    s3->magic = 0;
    free(s3);
}

static void s3_close(struct pool *pool) {
    struct s3_pool *s3 = s3_pool_checked(pool);
    s3_sweep_stop(s3);
    pool_fini(pool);
    s3_free(s3);
}

static const struct pool_ops s3_ops = {
    .kind = "s3",
    .open_reader = s3_open_reader,
    .open_writer = s3_open_writer,
    .stat = s3_stat,
    .remove = s3_remove,
    .list = s3_list,
    .empty = s3_empty,
    .status = s3_status,
    .close = s3_close,
    .put_entry = s3_put_entry,
};

enum err s3_pool_open_with_clock(struct op *op, const struct pool_environment *environment,
                                 const char *nickname, struct settings *settings, s3_clock_fn *clock,
                                 struct pool **ret_pool) {
    struct s3_pool *s3 = calloc(1, sizeof *s3);
    if (!s3) {
        return op_no_memory(op);
    }
    s3->magic = S3_POOL_MAGIC;
    s3->clock = clock ? clock : clock_wall_ms;
    s3->spool_dir = environment->spool_dir;
    mutex_init(&s3->mutex, RANK_KIND);
    unsigned max_parallel = (unsigned)settings_number(settings, "max_parallel");
    enum err err = read_settings(op, s3, settings);
    if (err != OK) {
        goto fail;
    }
    const struct http_limits limits = HTTP_DEFAULT_LIMITS(max_parallel);
    s3->client = http_client_new(&limits);
    if (environment->data_dir) {
        char store[sizeof s3->base_url + sizeof s3->bucket_path];
        snprintf(store, sizeof store, "%s%s", s3->base_url, s3->bucket_path);
        s3->journal = s3_journal_open(environment->data_dir, nickname, store);
    }
    if (!s3->client || (environment->data_dir && !s3->journal)) {
        err = op_no_memory(op);
        goto fail;
    }
    const struct pool_capabilities capabilities = {
        .ranges = true,
        .create_only = true, /* by the server; one that cannot says 501 and stores nothing */
        .if_match = true,
        .fill_fence =
            false, /* our fence is looked at before each attempt, not where the object becomes visible */
        .durable = true,
        .remote = true,
        .stores_hold = true,
        .stores_meta = true,
        .tells_created = false,
        .max_object_bytes = S3_OBJECT_MOST_BYTES,
        .max_key_bytes = S3_MOST_NAME_BYTES - strlen(s3->prefix),
        .max_parallel = max_parallel,
    };
    pool_init(&s3->pool, &s3_ops, &capabilities, nickname, settings);
    s3_sweep_start(s3);
    *ret_pool = &s3->pool;
    return OK;
fail:
    s3_free(s3);
    return err;
}

static enum err s3_open(struct op *op, const struct pool_environment *environment, const char *nickname,
                        struct settings *settings, struct pool **ret_pool) {
    return s3_pool_open_with_clock(op, environment, nickname, settings, NULL, ret_pool);
}

const struct pool_kind s3_pool_kind = {.name = "s3",
                                       .options = s3_options,
                                       .option_count = ARRAY_COUNT(s3_options),
                                       .open = s3_open,
                                       .check = s3_check};
