/* test_s3_calls.c - reads: what is tried again, what is not, and what broken answers become. */
#include "s3_suites.h"

#include "fake_store.h"
#include "s3_fixture.h"

#include "pools/base/clock.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"abc\"\r\n\r\nhello"
/* An error answer of that status with an error document. */
static const char *refusal(const char *status, const char *code, const char *more) {
    static char text[8][1024];
    static unsigned next;
    char body[512];
    snprintf(body, sizeof body,
             "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>for %s</Message>%s</Error>", code,
             FIXTURE_ACCESS, more);
    char *to = text[next++ % 8];
    snprintf(to, sizeof text[0], "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(body), body);
    return to;
}

struct scene {
    struct fake_store *store;
    struct pool *pool;
    struct op *op; /* of the call under way, for another thread */
};

static struct scene begin(const struct fake_answer *answers, size_t count) {
    struct scene scene = {.store = fake_store_start(answers, count)};
    scene.pool = s3_fixture_open_port(fake_store_port(scene.store), NULL);
    return scene;
}

static void end(struct scene *scene) {
    pool_unref(scene->pool);
    fake_store_stop(scene->store);
}

static enum err get_only(struct pool *pool, const char *id) {
    uint8_t *bytes = NULL;
    size_t count = 0;
    enum err err = get(pool, id, &bytes, &count, NULL);
    if (err == OK) {
        free(bytes);
    }
    return err;
}

static enum pool_state state_of(struct pool *pool) {
    struct pool_status status;
    pool_get_status(pool, &status);
    return status.state;
}

START_TEST(connections_are_kept) {
    const struct fake_answer answers[] = {
        {.text = OK_HELLO},
        {.text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"x\"\r\n\r\n"},
        {.text = "HTTP/1.1 204 No Content\r\n\r\n"},
        {.text = refusal("404 Not Found", "NoSuchKey", "")},
        {.text = OK_HELLO}};
    struct scene scene = begin(answers, 5);
    struct id id = id_of("x");
    struct meta meta;
    bool existed;
    expect_body(scene.pool, "x", "hello", 5);
    ck_assert_int_eq(pool_stat(scene.pool, fresh_op(), &id, &meta), OK);
    ck_assert_uint_eq(meta.size_bytes, 5);
    ck_assert_str_eq(meta.validator, "s3-x");
    meta_fini(&meta);
    ck_assert_int_eq(pool_remove(scene.pool, fresh_op(), &id, NULL, &existed), OK);
    expect_fault(get_only(scene.pool, "x"), ERR_NOT_FOUND, REASON_ENTRY_NOT_FOUND);
    expect_body(scene.pool, "x", "hello", 5);
    ck_assert_uint_eq(fake_store_connections(scene.store), 1);
    end(&scene);
}
END_TEST

START_TEST(passing_trouble_is_passed_over) {
    const struct fake_answer answers[] = {
        {.text = refusal("503 Slow Down", "SlowDown", "")},
        {.text = "HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops"},
        {.after = FAKE_RESET},
        {.text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", .after = FAKE_CLOSE},
        {.text = OK_HELLO},
    };
    struct scene scene = begin(answers, 5);
    expect_body(scene.pool, "x", "hello", 5);
    ck_assert_int_eq(state_of(scene.pool), POOL_OK);
    end(&scene);
}
END_TEST

START_TEST(retry_after_is_honoured) {
    const struct fake_answer answers[] = {
        {.text = "HTTP/1.1 429 Too Many\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"}, {.text = OK_HELLO}};
    struct scene scene = begin(answers, 2);
    uint64_t before = clock_now_ns();
    expect_body(scene.pool, "x", "hello", 5);
    ck_assert_uint_ge(clock_now_ns() - before, NS_PER_S);
    end(&scene);
}
END_TEST

START_TEST(lasting_trouble_is_told) {
    const struct fake_answer answers[] = {{.text = refusal("503 Slow Down", "SlowDown", "")},
                                          {.text = refusal("503 Slow Down", "SlowDown", "")},
                                          {.text = refusal("503 Slow Down", "SlowDown", "")},
                                          {.text = refusal("503 Slow Down", "SlowDown", "")},
                                          {.text = refusal("503 Slow Down", "SlowDown", "")}};
    struct scene scene = begin(answers, 5);
    expect_fault(get_only(scene.pool, "x"), ERR_THROTTLED, REASON_THROTTLED);
    end(&scene);
}
END_TEST

static const struct {
    const char *status, *code, *more;
    enum err err;
    enum reason reason;
    const char *said;
} final[] = {
    {"404 Not Found", "NoSuchKey", "", ERR_NOT_FOUND, REASON_ENTRY_NOT_FOUND, ""},
    {"404 Not Found", "NoSuchBucket", "", ERR_CONFIG, REASON_NO_SUCH_BUCKET, "bucket"},
    {"403 Forbidden", "SignatureDoesNotMatch", "", ERR_DENIED, REASON_DENIED, "secret access key"},
    {"403 Forbidden", "RequestTimeTooSkewed", "", ERR_DENIED, REASON_CLOCK_SKEW, "clock"},
    {"400 Bad Request", "AuthorizationHeaderMalformed", "<Region>eu-west-3</Region>", ERR_CONFIG,
     REASON_WRONG_REGION, "eu-west-3"},
    {"400 Bad Request", "SomethingElse", "", ERR_CORRUPT, REASON_BAD_ANSWER, "SomethingElse"},
};

START_TEST(refusals_are_not_repeated) {
    const struct fake_answer answers[] = {
        {.text = refusal(final[_i].status, final[_i].code, final[_i].more)}};
    struct scene scene = begin(answers, 1);
    struct op *op = fresh_op();
    expect_fault(get_only(scene.pool, "x"), final[_i].err, final[_i].reason);
    ck_assert_msg(strstr(op->fault.detail, final[_i].said) != NULL, "%s", op->fault.detail);
    ck_assert_int_eq(state_of(scene.pool), POOL_OK);
    end(&scene);
}
END_TEST

START_TEST(refusals_of_head_are_looked_into) {
    const struct fake_answer answers[] = {
        {.text = "HTTP/1.1 404 Not Found\r\n\r\n"},
        {.text = refusal("404 Not Found", "NoSuchBucket", "")},
        {.text = "HTTP/1.1 404 Not Found\r\n\r\n"},
        {.text = refusal("404 Not Found", "NoSuchKey", "")},
        {.text = "HTTP/1.1 403 Forbidden\r\n\r\n"},
        {.text = refusal("403 Forbidden", "RequestTimeTooSkewed", "")},
        {.text = "HTTP/1.1 403 Forbidden\r\n\r\n"},
        {.text = "HTTP/1.1 206 Partial\r\nContent-Length: 1\r\nContent-Range: bytes 0-0/77\r\nETag: "
                 "\"q\"\r\n\r\nx"},
    };
    struct scene scene = begin(answers, 8);
    struct id id = id_of("x");
    struct meta meta;
    expect_fault(pool_stat(scene.pool, fresh_op(), &id, &meta), ERR_CONFIG, REASON_NO_SUCH_BUCKET);
    expect_fault(pool_stat(scene.pool, fresh_op(), &id, &meta), ERR_NOT_FOUND, REASON_ENTRY_NOT_FOUND);
    expect_fault(pool_stat(scene.pool, fresh_op(), &id, &meta), ERR_DENIED, REASON_CLOCK_SKEW);
    ck_assert_int_eq(pool_stat(scene.pool, fresh_op(), &id, &meta), OK);
    ck_assert_uint_eq(meta.size_bytes, 77);
    ck_assert_str_eq(meta.validator, "s3-q");
    meta_fini(&meta);
    end(&scene);
}
END_TEST

static const struct {
    const char *text;
    enum reason reason;
} broken[] = {
    {"no http at all\r\n\r\n", REASON_BAD_ANSWER},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", REASON_NONE},
    {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", REASON_BAD_ANSWER},
};

START_TEST(broken_answers_are_not_entries) {
    const struct fake_answer answers[] = {{.text = broken[_i].text, .after = FAKE_CLOSE},
                                          {.text = broken[_i].text, .after = FAKE_CLOSE},
                                          {.text = broken[_i].text, .after = FAKE_CLOSE},
                                          {.text = broken[_i].text, .after = FAKE_CLOSE},
                                          {.text = broken[_i].text, .after = FAKE_CLOSE}};
    struct scene scene = begin(answers, broken[_i].reason == REASON_NONE ? 5 : 1);
    enum err err = get_only(scene.pool, "x");
    if (broken[_i].reason == REASON_NONE) {
        ck_assert(err == ERR_CORRUPT || err == ERR_UNAVAILABLE);
    } else {
        expect_fault(err, ERR_CORRUPT, broken[_i].reason);
    }
    end(&scene);
}
END_TEST

START_TEST(headers_are_bounded) {
    static char flood[128 * 1024];
    int at = snprintf(flood, sizeof flood, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; at < 100000; i++) {
        at += snprintf(flood + at, sizeof flood - (size_t)at, "X-Filler-%d: %0200d\r\n", i, i);
    }
    snprintf(flood + at, sizeof flood - (size_t)at, "Content-Length: 0\r\n\r\n");
    const struct fake_answer answers[] = {{.text = flood, .after = FAKE_CLOSE}};
    struct scene scene = begin(answers, 1);
    expect_fault(get_only(scene.pool, "x"), ERR_CORRUPT, REASON_BAD_ANSWER);
    end(&scene);
}
END_TEST

/* Bodies too large to be taken whole while opening. */
#define LARGE_BYTES ((size_t)1 << 20)

static char *large_answer(size_t promised, size_t sent, size_t *ret_bytes) {
    char *text = malloc(sent + 256);
    ck_assert_ptr_nonnull(text);
    int head = snprintf(text, 256, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nETag: \"l\"\r\n\r\n", promised);
    for (size_t i = 0; i < sent; i++) {
        text[(size_t)head + i] = (char)(i * 31 + i / 251);
    }
    *ret_bytes = (size_t)head + sent;
    return text;
}

START_TEST(large_bodies_stream) {
    size_t bytes;
    char *text = large_answer(LARGE_BYTES, LARGE_BYTES, &bytes);
    const struct fake_answer answers[] = {{.text = text, .text_bytes = bytes}, {.text = OK_HELLO}};
    struct scene scene = begin(answers, 2);
    expect_body(scene.pool, "x", text + (bytes - LARGE_BYTES), LARGE_BYTES);
    expect_body(scene.pool, "y", "hello", 5);
    ck_assert_uint_eq(fake_store_connections(scene.store), 1);
    end(&scene);
    free(text);
}
END_TEST

START_TEST(a_body_that_ends_early_is_corrupt) {
    size_t bytes;
    char *text = large_answer(LARGE_BYTES, LARGE_BYTES - 1, &bytes);
    const struct fake_answer answers[] = {{.text = text, .text_bytes = bytes, .after = FAKE_CLOSE}};
    struct scene scene = begin(answers, 1);
    expect_fault(get_only(scene.pool, "x"), ERR_CORRUPT, REASON_BAD_ANSWER);
    end(&scene);
    free(text);
}
END_TEST

START_TEST(a_reset_in_the_body_is_no_short_success) {
    size_t bytes;
    char *text = large_answer(LARGE_BYTES, LARGE_BYTES / 2, &bytes);
    const struct fake_answer answers[] = {{.text = text, .text_bytes = bytes, .after = FAKE_RESET}};
    struct scene scene = begin(answers, 1);
    enum err err = get_only(scene.pool, "x");
    ck_assert_msg(err == ERR_UNAVAILABLE || err == ERR_CORRUPT, "%s", err_word(err));
    end(&scene);
    free(text);
}
END_TEST

START_TEST(a_reader_closed_early_frees_its_line) {
    size_t bytes;
    char *text = large_answer(LARGE_BYTES, LARGE_BYTES, &bytes);
    const struct fake_answer answers[] = {{.text = text, .text_bytes = bytes, .after = FAKE_CLOSE},
                                          {.text = OK_HELLO}};
    struct fake_store *store = fake_store_start(answers, 2);
    const struct s3_setting settings[] = {{"max_parallel", "1"}, {NULL, NULL}};
    struct pool *pool = s3_fixture_open_port(fake_store_port(store), &(struct s3_how){.settings = settings});
    struct id id = id_of("x");
    struct reader *reader = NULL;
    ck_assert_int_eq(pool_open_reader(pool, fresh_op(), &id, NULL, &reader), OK);
    char piece[100];
    size_t got;
    ck_assert_int_eq(reader_read(reader, fresh_op(), piece, sizeof piece, &got), OK);
    ck_assert_mem_eq(piece, text + (bytes - LARGE_BYTES), got);

    /* The only line is taken: a second call waits no longer than its deadline. */
    struct reader *second = NULL;
    ck_assert_int_eq(pool_open_reader(pool, fresh_op_with(50 * NS_PER_MS), &id, NULL, &second), ERR_TIMEOUT);
    reader_close(reader);
    expect_body(pool, "y", "hello", 5);
    pool_unref(pool);
    fake_store_stop(store);
    free(text);
}
END_TEST

/* Stores refuse every range of an empty object; for us the one from its first byte is an empty read. */
START_TEST(the_first_range_of_an_empty_object) {
    const struct fake_answer answers[] = {
        {.text = refusal("416 Range", "InvalidRange", "")},
        {.text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
        {.text = refusal("416 Range", "InvalidRange", "")},
        {.text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
        {.text = refusal("416 Range", "InvalidRange", "")},
    };
    struct scene scene = begin(answers, 5);
    struct id id = id_of("x");
    struct reader *reader = NULL;
    char piece[16];
    size_t got = 1;
    struct read_options options = {.offset = 0, .length = 5};
    ck_assert_int_eq(pool_open_reader(scene.pool, fresh_op(), &id, &options, &reader), OK);
    ck_assert_uint_eq(reader->meta.size_bytes, 0);
    ck_assert_int_eq(reader_read(reader, fresh_op(), piece, sizeof piece, &got), OK);
    ck_assert_uint_eq(got, 0);
    reader_close(reader);
    ck_assert_str_eq(fake_store_field(scene.store, 0, "Range"), "bytes=0-4");
    ck_assert_ptr_null(fake_store_field(scene.store, 1, "Range"));
    expect_fault(pool_open_reader(scene.pool, fresh_op(), &id, &options, &reader), ERR_CORRUPT,
                 REASON_BAD_ANSWER);
    options.offset = 1;
    expect_fault(pool_open_reader(scene.pool, fresh_op(), &id, &options, &reader), ERR_RANGE, REASON_RANGE);
    end(&scene);
}
END_TEST

START_TEST(ranges_are_asked_for_and_checked) {
    const struct fake_answer answers[] = {
        {.text = "HTTP/1.1 206 Partial\r\nContent-Length: 3\r\nContent-Range: bytes 2-4/10\r\n\r\ncde"},
        {.text = "HTTP/1.1 206 Partial\r\nContent-Length: 3\r\nContent-Range: bytes 7-9/10\r\n\r\nhij"},
        {.text = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabcdefghij"},
        {.text = refusal("416 Range", "InvalidRange", "")},
    };
    struct scene scene = begin(answers, 4);
    struct id id = id_of("x");
    struct reader *reader = NULL;
    char piece[16];
    size_t got;
    struct read_options options = {.offset = 2, .length = 3};
    ck_assert_int_eq(pool_open_reader(scene.pool, fresh_op(), &id, &options, &reader), OK);
    ck_assert_uint_eq(reader->meta.size_bytes, 10);
    ck_assert_int_eq(reader_read(reader, fresh_op(), piece, sizeof piece, &got), OK);
    ck_assert_uint_eq(got, 3);
    ck_assert_mem_eq(piece, "cde", 3);
    ck_assert_int_eq(reader_read(reader, fresh_op(), piece, sizeof piece, &got), OK);
    ck_assert_uint_eq(got, 0);
    reader_close(reader);
    ck_assert_str_eq(fake_store_field(scene.store, 0, "Range"), "bytes=2-4");

    options = (struct read_options){.offset = 7, .length = UINT64_MAX};
    ck_assert_int_eq(pool_open_reader(scene.pool, fresh_op(), &id, &options, &reader), OK);
    reader_close(reader);
    ck_assert_str_eq(fake_store_field(scene.store, 1, "Range"), "bytes=7-");
    expect_fault(pool_open_reader(scene.pool, fresh_op(), &id, &options, &reader), ERR_CORRUPT,
                 REASON_BAD_ANSWER);
    expect_fault(pool_open_reader(scene.pool, fresh_op(), &id, &options, &reader), ERR_RANGE, REASON_RANGE);
    end(&scene);
}
END_TEST

START_TEST(a_silent_store_costs_the_deadline_only) {
    const struct fake_answer answers[] = {{.after = FAKE_HANG}};
    struct scene scene = begin(answers, 1);
    struct id id = id_of("x");
    struct reader *reader = NULL;
    uint64_t before = clock_now_ns();
    expect_fault(pool_open_reader(scene.pool, fresh_op_with(300 * NS_PER_MS), &id, NULL, &reader),
                 ERR_TIMEOUT, REASON_TIMEOUT);
    ck_assert_uint_lt(clock_now_ns() - before, 3 * NS_PER_S);
    end(&scene);
}
END_TEST

static void *cancel_when_asked(void *context) {
    struct scene *scene = context;
    while (fake_store_requests(scene->store) == 0) {
        sched_yield();
    }
    atomic_store(&scene->op->cancelled, true);
    return NULL;
}

START_TEST(a_cancelled_read_ends) {
    const struct fake_answer answers[] = {{.after = FAKE_HANG}};
    struct scene scene = begin(answers, 1);
    struct id id = id_of("x");
    struct reader *reader = NULL;
    scene.op = fresh_op();
    pthread_t canceller;
    ck_assert_int_eq(pthread_create(&canceller, NULL, cancel_when_asked, &scene), 0);
    ck_assert_int_eq(pool_open_reader(scene.pool, scene.op, &id, NULL, &reader), ERR_CANCELLED);
    pthread_join(canceller, NULL);
    end(&scene);
}
END_TEST

/* A port on which nobody listens: bound, so that nobody else takes it, but never listening. */
static int dead_port(unsigned *ret_port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, bytes), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

START_TEST(a_dead_endpoint_is_known_soon) {
    unsigned port;
    int fd = dead_port(&port);
    struct pool *pool = s3_fixture_open_port(port, NULL);
    ck_assert_int_eq(state_of(pool), POOL_OK);
    uint64_t before = clock_now_ns();
    expect_fault(get_only(pool, "x"), ERR_UNAVAILABLE, REASON_UNAVAILABLE);
    ck_assert_uint_lt(clock_now_ns() - before, 6 * NS_PER_S);
    struct pool_status status;
    pool_get_status(pool, &status);
    ck_assert_int_eq(status.state, POOL_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(status.reason, "cannot be reached"));

    /* Known to be down: one attempt, no schedule. */
    before = clock_now_ns();
    expect_fault(get_only(pool, "x"), ERR_UNAVAILABLE, REASON_UNAVAILABLE);
    ck_assert_uint_lt(clock_now_ns() - before, 2 * NS_PER_S);
    pool_unref(pool);
    close(fd);
}
END_TEST

/* Twice: 7.88's handles cannot be used again after a name that did not resolve. */
START_TEST(an_endpoint_without_an_address_is_unreachable) {
    struct pool *pool = s3_fixture_open("http://no-such-host.invalid", NULL);
    expect_fault(get_only(pool, "x"), ERR_UNAVAILABLE, REASON_UNAVAILABLE);
    expect_fault(get_only(pool, "x"), ERR_UNAVAILABLE, REASON_UNAVAILABLE);
    ck_assert_int_eq(state_of(pool), POOL_UNAVAILABLE);
    pool_unref(pool);
}
END_TEST

START_TEST(a_plain_read_wants_status_200) {
    const struct fake_answer answers[] = {
        {.text = "HTTP/1.1 204 No Content\r\n\r\n"},
        {.text = "HTTP/1.1 203 Changed\r\nContent-Length: 5\r\n\r\nhello"},
        {.text = "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\nhello"},
        {.text = "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n"},
        {.text = "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n"},
    };
    struct scene scene = begin(answers, 5);
    for (unsigned i = 0; i < 5; i++) {
        expect_fault(get_only(scene.pool, "x"), ERR_CORRUPT, REASON_BAD_ANSWER);
    }
    end(&scene);
}
END_TEST

START_TEST(the_state_recovers) {
    const struct fake_answer answers[] = {{.after = FAKE_RESET}, {.after = FAKE_RESET}, {.after = FAKE_RESET},
                                          {.after = FAKE_RESET}, {.after = FAKE_RESET}, {.text = OK_HELLO}};
    struct scene scene = begin(answers, 6);
    expect_fault(get_only(scene.pool, "x"), ERR_UNAVAILABLE, REASON_UNAVAILABLE);
    ck_assert_int_eq(state_of(scene.pool), POOL_UNAVAILABLE);
    expect_body(scene.pool, "x", "hello", 5);
    ck_assert_int_eq(state_of(scene.pool), POOL_OK);
    end(&scene);
}
END_TEST

START_TEST(a_failing_store_is_not_down) {
    const char *const failed = "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n";
    const char *const late = "HTTP/1.1 504 Late\r\nContent-Length: 0\r\n\r\n";
    const struct fake_answer answers[] = {{.text = failed}, {.text = late},    {.text = failed},
                                          {.text = late},   {.text = late}, /* one object's trouble */
                                          {.text = failed}, {.text = OK_HELLO}};
    struct scene scene = begin(answers, ARRAY_COUNT(answers));
    expect_fault(get_only(scene.pool, "x"), ERR_TIMEOUT, REASON_TIMEOUT);
    ck_assert_int_eq(state_of(scene.pool), POOL_OK);
    expect_body(scene.pool, "y", "hello", 5); /* others are still tried again */
    end(&scene);
}
END_TEST

START_TEST(any_status_ends_being_down) {
    const struct fake_answer answers[] = {
        {.after = FAKE_RESET}, {.after = FAKE_RESET},
        {.after = FAKE_RESET}, {.after = FAKE_RESET},
        {.after = FAKE_RESET}, {.text = "HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n"},
        {.text = OK_HELLO}};
    struct scene scene = begin(answers, ARRAY_COUNT(answers));
    expect_fault(get_only(scene.pool, "x"), ERR_UNAVAILABLE, REASON_UNAVAILABLE);
    ck_assert_int_eq(state_of(scene.pool), POOL_UNAVAILABLE);
    expect_body(scene.pool, "x", "hello", 5);
    ck_assert_int_eq(state_of(scene.pool), POOL_OK);
    end(&scene);
}
END_TEST

START_TEST(metadata_come_from_the_header) {
    const struct fake_answer answers[] = {
        {.text =
             "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"abc-2\"\r\nContent-Type: application/json\r\n"
             "Content-Encoding: gzip\r\nLast-Modified: Sun, 22 Nov 2026 09:37:09 GMT\r\n\r\nhello"},
        {.text =
             "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"abc\"\r\n"
             "X-Amz-Meta-Lailad-Sha256: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\r\n"
             "x-amz-meta-lailad-created: 1795340229973\r\nx-amz-meta-lailad-hold: cached\r\n"
             "x-amz-meta-lailad-validator: gcs-17\r\nx-amz-meta-lailad-x0: Zm9v\r\nx-amz-meta-lailad-x1: "
             "YmFy\r\n"
             "\r\nhello"},
        {.text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx-amz-meta-lailad-sha256: nonsense\r\n"
                 "x-amz-meta-lailad-created: -7\r\nx-amz-meta-lailad-hold: what\r\nx-amz-meta-lailad-x0: "
                 "!!!\r\n\r\nhello"},
    };
    struct scene scene = begin(answers, 3);
    struct meta meta;
    uint8_t *bytes;
    size_t count;
    ck_assert_int_eq(get(scene.pool, "x", &bytes, &count, &meta), OK);
    ck_assert_str_eq(meta.content_type, "application/json");
    ck_assert_str_eq(meta.content_encoding, "gzip"); /* and the body is as it was sent */
    ck_assert_mem_eq(bytes, "hello", 5);
    ck_assert_str_eq(meta.validator, "s3-abc-2");
    ck_assert_int_eq(meta.stored_ms, INT64_C(1795340229000));
    ck_assert_int_eq(meta.created_ms, INT64_C(1795340229000));
    ck_assert_int_eq(meta.hold, HOLD_OWNED);
    ck_assert(!meta.has_sha256 && !meta.extension);
    meta_fini(&meta);
    free(bytes);

    ck_assert_int_eq(get(scene.pool, "x", &bytes, &count, &meta), OK);
    ck_assert(meta.has_sha256);
    ck_assert_uint_eq(meta.sha256[0], 0x2c);
    ck_assert_uint_eq(meta.sha256[31], 0x24);
    ck_assert_int_eq(meta.created_ms, INT64_C(1795340229973));
    ck_assert_int_eq(meta.hold, HOLD_CACHED);
    ck_assert_str_eq(meta.validator, "gcs-17");
    ck_assert_ptr_nonnull(meta.extension);
    ck_assert_uint_eq(meta.extension->size, 6);
    ck_assert_mem_eq(meta.extension->data, "foobar", 6);
    meta_fini(&meta);
    free(bytes);

    ck_assert_int_eq(get(scene.pool, "x", &bytes, &count, &meta), OK);
    ck_assert(!meta.has_sha256 && !meta.extension && meta.created_ms == 0 && meta.hold == HOLD_OWNED);
    ck_assert_str_eq(meta.content_type, META_DEFAULT_TYPE);
    meta_fini(&meta);
    free(bytes);
    end(&scene);
}
END_TEST

TCase *s3_calls_case(void) {
    TCase *tcase = tcase_create("calls");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, connections_are_kept);
    tcase_add_test(tcase, passing_trouble_is_passed_over);
    tcase_add_test(tcase, retry_after_is_honoured);
    tcase_add_test(tcase, lasting_trouble_is_told);
    tcase_add_loop_test(tcase, refusals_are_not_repeated, 0, (int)ARRAY_COUNT(final));
    tcase_add_test(tcase, refusals_of_head_are_looked_into);
    tcase_add_loop_test(tcase, broken_answers_are_not_entries, 0, (int)ARRAY_COUNT(broken));
    tcase_add_test(tcase, headers_are_bounded);
    tcase_add_test(tcase, large_bodies_stream);
    tcase_add_test(tcase, a_body_that_ends_early_is_corrupt);
    tcase_add_test(tcase, a_reset_in_the_body_is_no_short_success);
    tcase_add_test(tcase, a_reader_closed_early_frees_its_line);
    tcase_add_test(tcase, ranges_are_asked_for_and_checked);
    tcase_add_test(tcase, the_first_range_of_an_empty_object);
    tcase_add_test(tcase, a_silent_store_costs_the_deadline_only);
    tcase_add_test(tcase, a_cancelled_read_ends);
    tcase_add_test(tcase, a_dead_endpoint_is_known_soon);
    tcase_add_test(tcase, an_endpoint_without_an_address_is_unreachable);
    tcase_add_test(tcase, a_plain_read_wants_status_200);
    tcase_add_test(tcase, the_state_recovers);
    tcase_add_test(tcase, a_failing_store_is_not_down);
    tcase_add_test(tcase, any_status_ends_being_down);
    tcase_add_test(tcase, metadata_come_from_the_header);
    return tcase;
}
