/* s3_scene.h - a scripted store and a pool on it, and the answers that several files script. */
#ifndef TESTS_UNIT_POOLS_S3_S3_SCENE_H
#define TESTS_UNIT_POOLS_S3_S3_SCENE_H

#include "fake_store.h"
#include "s3_fixture.h"

#include <stdio.h>
#include <string.h>

#define PUT_OK "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: \"new\"\r\n\r\n"
#define HEAD_OLD "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nETag: \"old\"\r\n\r\n"
#define HEAD_CACHED                                                                                          \
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nETag: \"old\"\r\nx-amz-meta-lailad-hold: cached\r\n\r\n"
#define HEAD_NONE "HTTP/1.1 404 Not Found\r\n\r\n"
#define ERROR_BODY(status, bytes, code)                                                                      \
    "HTTP/1.1 " status "\r\nContent-Length: " bytes "\r\n\r\n<Error><Code>" code "</Code></Error>"
#define NO_KEY ERROR_BODY("404 Not Found", "37", "NoSuchKey")
#define NOT_IMPLEMENTED ERROR_BODY("501 Not Implemented", "42", "NotImplemented")
#define FAILED_412 ERROR_BODY("412 Failed", "46", "PreconditionFailed")

struct scene {
    struct fake_store *store;
    struct pool *pool;
};

static inline struct scene begin(const struct fake_answer *answers, size_t count) {
    struct scene scene = {.store = fake_store_start(answers, count)};
    scene.pool = s3_fixture_open_port(fake_store_port(scene.store), NULL);
    return scene;
}

static inline void end(struct scene *scene) {
    pool_unref(scene->pool);
    fake_store_stop(scene->store);
}

static inline bool head_starts(struct scene *scene, size_t index, const char *text) {
    return strncmp(fake_store_head(scene->store, index), text, strlen(text)) == 0;
}

static inline const char *field(struct scene *scene, size_t index, const char *name) {
    return fake_store_field(scene->store, index, name);
}

#define MADE_MS 1795340229973
static inline int64_t made_clock(void) {
    return MADE_MS;
}

/* What HEAD says of a body "1" made at that time. */
static inline const char *head_made(const char *etag, int64_t made_ms) {
    static char text[4][512];
    static unsigned next;
    char *to = text[next++ % 4];
    snprintf(
        to, sizeof text[0],
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nETag: \"%s\"\r\nx-amz-meta-lailad-created: %lld\r\n"
        "x-amz-meta-lailad-sha256: 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b\r\n\r\n",
        etag, (long long)made_ms);
    return to;
}

static inline struct scene begin_made(const struct fake_answer *answers, size_t count) {
    struct scene scene = {.store = fake_store_start(answers, count)};
    scene.pool = s3_fixture_open_port(fake_store_port(scene.store), &(struct s3_how){.clock = made_clock});
    return scene;
}

#endif
