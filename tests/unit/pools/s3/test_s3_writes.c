/* test_s3_writes.c - puts: fields and bodies, preconditions, fills, parts; deletes under a precondition. */
#include "s3_suites.h"

#include "fake_store.h"
#include "s3_fixture.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

static struct scene begin(const struct fake_answer *answers, size_t count) {
    struct scene scene = {.store = fake_store_start(answers, count)};
    scene.pool = s3_fixture_open_port(fake_store_port(scene.store), NULL);
    return scene;
}

static void end(struct scene *scene) {
    pool_unref(scene->pool);
    fake_store_stop(scene->store);
}

static bool head_starts(struct scene *scene, size_t index, const char *text) {
    return strncmp(fake_store_head(scene->store, index), text, strlen(text)) == 0;
}

static const char *field(struct scene *scene, size_t index, const char *name) {
    return fake_store_field(scene->store, index, name);
}

START_TEST(a_put_says_everything) {
    const struct fake_answer answers[] = {{.text = PUT_OK}};
    struct scene scene = begin(answers, 1);
    const struct put_how how = {.content_type = "application/json", .hold = HOLD_CACHED, .as_entry = _i == 1};
    ck_assert_int_eq(put(scene.pool, "a:b", "hello", 5, &how), OK);
    ck_assert(head_starts(&scene, 0, "PUT /bucket/a%253Ab HTTP/1.1"));
    const char *const sha = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    ck_assert_str_eq(field(&scene, 0, "Content-Length"), "5");
    ck_assert_str_eq(field(&scene, 0, "Content-Type"), "application/json");
    ck_assert_str_eq(field(&scene, 0, "x-amz-content-sha256"), sha);
    ck_assert_str_eq(field(&scene, 0, "x-amz-meta-lailad-sha256"), sha);
    ck_assert_str_eq(field(&scene, 0, "x-amz-meta-lailad-hold"), "cached");
    ck_assert_ptr_null(field(&scene, 0, "Transfer-Encoding"));
    ck_assert_str_eq(fake_store_body(scene.store, 0), "hello");
    end(&scene);
}
END_TEST

START_TEST(a_body_is_sent_again_whole) {
    /* Refused before, during and after; larger than memory keeps, so the spool's file is replayed. */
    enum { BYTES = 3 << 20 };
    char *body = malloc(BYTES);
    for (size_t i = 0; i < BYTES; i++) {
        body[i] = (char)('a' + i % 23);
    }
    const struct fake_answer answers[] = {
        {.text = ERROR_BODY("503 Slow", "36", "SlowDown")}, {.after = FAKE_RESET}, {.text = PUT_OK}};
    struct scene scene = begin(answers, 3);
    ck_assert_int_eq(put(scene.pool, "x", body, BYTES, NULL), OK);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_str_eq(field(&scene, i, "Content-Length"), "3145728");
        const char *got = fake_store_body(scene.store, i);
        ck_assert_mem_eq(got, body, strlen(got));
        ck_assert_uint_eq(strlen(got), 65535);
    }
    end(&scene);
    free(body);
}
END_TEST

START_TEST(a_writer_closed_early_sends_nothing) {
    struct scene scene = begin(NULL, 0);
    struct id id = id_of("x");
    struct write_options options = {.condition = NULL};
    meta_init(&options.meta);
    struct pool_writer *writer = NULL;
    ck_assert_int_eq(pool_open_writer(scene.pool, fresh_op(), &id, &options, &writer), OK);
    ck_assert_int_eq(pool_writer_write(writer, fresh_op(), "abc", 3), OK);
    pool_writer_close(writer);
    end(&scene);
}
END_TEST

START_TEST(control_bytes_never_become_fields) {
    struct scene scene = begin(NULL, 0);
    const struct put_how how = {.content_type = "text/plain\r\nx-amz-acl: public-read"};
    expect_fault(put(scene.pool, "x", "1", 1, &how), ERR_INVALID, REASON_INVALID_HEADER);
    end(&scene);
}
END_TEST

START_TEST(an_extension_travels_in_pieces) {
    uint8_t bytes[META_EXTENSION_MOST_BYTES];
    memset(bytes, 0xa5, sizeof bytes);
    /* Base64 of these bytes is "paWl" over and over; what the put sends, the answer to the stat brings back. */
    static char stored[8192];
    int at = snprintf(stored, sizeof stored, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (int piece = 0; piece < 12; piece++) {
        at += snprintf(stored + at, sizeof stored - (size_t)at, "x-amz-meta-lailad-x%d: ", piece);
        for (int group = 0; group < (piece < 11 ? 60 : 22); group++) {
            at += snprintf(stored + at, sizeof stored - (size_t)at, "paWl");
        }
        at += snprintf(stored + at, sizeof stored - (size_t)at, piece < 11 ? "\r\n" : "paU=\r\n\r\n");
    }
    const struct fake_answer answers[] = {{.text = PUT_OK}, {.text = stored}};
    struct scene scene = begin(answers, 2);
    struct meta meta, back;
    meta_init(&meta);
    meta.extension = blob_copy(bytes, sizeof bytes);
    meta.has_sha256 = true;
    digest_sha256("", 0, meta.sha256);
    struct blob *body = blob_new(0);
    struct entry *entry = entry_new(&meta, body);
    struct commit_result result;
    struct id id = id_of("x");
    ck_assert_int_eq(pool_put_entry(scene.pool, fresh_op(), &id, entry, NULL, NULL, &result), OK);
    meta_fini(&result.meta);
    for (int piece = 0; piece < 12; piece++) {
        char name[32];
        snprintf(name, sizeof name, "x-amz-meta-lailad-x%d", piece);
        const char *sent = field(&scene, 0, name);
        ck_assert_ptr_nonnull(sent);
        ck_assert_uint_eq(strlen(sent), piece < 11 ? 240 : 92);
        ck_assert_ptr_nonnull(strstr(stored, sent));
    }
    ck_assert_int_eq(pool_stat(scene.pool, fresh_op(), &id, &back), OK);
    ck_assert_ptr_nonnull(back.extension);
    ck_assert_uint_eq(back.extension->size, sizeof bytes);
    ck_assert_mem_eq(back.extension->data, bytes, sizeof bytes);
    meta_fini(&back);
    entry_unref(entry);
    blob_unref(body);
    meta_fini(&meta);
    end(&scene);
}
END_TEST

/* ---- preconditions ---- */

static struct condition condition_of(enum condition_kind kind, const char *tag) {
    struct condition condition = {.kind = kind, .count = tag ? 1 : 0};
    if (tag) {
        snprintf(condition.tag[0], sizeof condition.tag[0], "\"%s\"", tag);
    }
    return condition;
}

static enum err put_if(struct scene *scene, enum condition_kind kind, const char *tag) {
    struct condition condition = condition_of(kind, tag);
    return put(scene->pool, "x", "1", 1, &(struct put_how){.condition = &condition});
}

START_TEST(absence_is_the_servers_to_judge) {
    const struct fake_answer answers[] = {{.text = PUT_OK}, {.text = FAILED_412}, {.text = NOT_IMPLEMENTED}};
    struct scene scene = begin(answers, 3);
    ck_assert_int_eq(put_if(&scene, CONDITION_ABSENT, NULL), OK);
    expect_fault(put_if(&scene, CONDITION_ABSENT, NULL), ERR_PRECONDITION, REASON_PRECONDITION_FAILED);
    expect_fault(put_if(&scene, CONDITION_ABSENT, NULL), ERR_UNSUPPORTED,
                 REASON_CONDITIONAL_WRITE_UNSUPPORTED);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_str_eq(field(&scene, i, "If-None-Match"), "*");
    }
    end(&scene);
}
END_TEST

START_TEST(tags_are_translated) {
    const struct fake_answer answers[] = {
        {.text = HEAD_OLD},  {.text = PUT_OK},                   /* ours: "s3-old" */
        {.text = HEAD_OLD},                                      /* another tag */
        {.text = HEAD_NONE}, {.text = NO_KEY},                   /* nothing there */
        {.text = HEAD_OLD},  {.text = PUT_OK},                   /* any tag */
        {.text = HEAD_OLD},                                      /* not this tag */
        {.text = HEAD_OLD},  {.text = PUT_OK},                   /* not another tag */
        {.text = HEAD_NONE}, {.text = NO_KEY}, {.text = PUT_OK}, /* not this tag: absent */
    };
    struct scene scene = begin(answers, ARRAY_COUNT(answers));
    ck_assert_int_eq(put_if(&scene, CONDITION_MATCH, "s3-old"), OK);
    ck_assert_str_eq(field(&scene, 1, "If-Match"), "\"old\"");
    expect_fault(put_if(&scene, CONDITION_MATCH, "s3-other"), ERR_PRECONDITION, REASON_PRECONDITION_FAILED);
    expect_fault(put_if(&scene, CONDITION_MATCH, "s3-old"), ERR_PRECONDITION, REASON_NOT_LOCAL);
    ck_assert_int_eq(put_if(&scene, CONDITION_PRESENT, NULL), OK);
    ck_assert_str_eq(field(&scene, 6, "If-Match"), "\"old\"");
    expect_fault(put_if(&scene, CONDITION_NONE_MATCH, "s3-old"), ERR_PRECONDITION,
                 REASON_PRECONDITION_FAILED);
    ck_assert_int_eq(put_if(&scene, CONDITION_NONE_MATCH, "s3-other"), OK);
    ck_assert_str_eq(field(&scene, 9, "If-Match"), "\"old\"");
    ck_assert_int_eq(put_if(&scene, CONDITION_NONE_MATCH, "s3-old"), OK);
    ck_assert_str_eq(field(&scene, 12, "If-None-Match"), "*");
    end(&scene);
}
END_TEST

START_TEST(a_store_that_compares_quotes_is_understood) {
    const struct fake_answer answers[] = {{.text = HEAD_OLD},
                                          {.text = FAILED_412},
                                          {.text = HEAD_OLD},
                                          {.text = PUT_OK},
                                          {.text = HEAD_OLD},
                                          {.text = FAILED_412},
                                          {.text = HEAD_CACHED "x", .text_bytes = sizeof HEAD_CACHED - 1},
                                          {.text = FAILED_412},
                                          {.text = HEAD_OLD},
                                          {.text = FAILED_412},
                                          {.text = HEAD_NONE},
                                          {.text = NO_KEY}};
    struct scene scene = begin(answers, ARRAY_COUNT(answers));
    ck_assert_int_eq(put_if(&scene, CONDITION_MATCH, "s3-old"), OK);
    ck_assert_str_eq(field(&scene, 1, "If-Match"), "\"old\"");
    ck_assert_str_eq(field(&scene, 3, "If-Match"), "old");
    expect_fault(put_if(&scene, CONDITION_MATCH, "s3-old"), ERR_PRECONDITION, REASON_PRECONDITION_FAILED);
    expect_fault(put_if(&scene, CONDITION_MATCH, "s3-old"), ERR_PRECONDITION, REASON_PRECONDITION_FAILED);
    end(&scene);
}
END_TEST

START_TEST(deletes_under_a_precondition) {
    const struct fake_answer answers[] = {{.text = HEAD_OLD},   {.text = "HTTP/1.1 204 No Content\r\n\r\n"},
                                          {.text = HEAD_OLD},   {.text = HEAD_OLD},
                                          {.text = FAILED_412}, {.text = HEAD_NONE},
                                          {.text = NO_KEY}};
    struct scene scene = begin(answers, ARRAY_COUNT(answers));
    struct id id = id_of("x");
    struct condition ours = condition_of(CONDITION_MATCH, "s3-old");
    struct condition other = condition_of(CONDITION_MATCH, "s3-other");
    bool existed = false;
    ck_assert_int_eq(pool_remove(scene.pool, fresh_op(), &id, &ours, &existed), OK);
    ck_assert(existed);
    ck_assert_str_eq(field(&scene, 1, "If-Match"), "\"old\"");
    expect_fault(pool_remove(scene.pool, fresh_op(), &id, &other, &existed), ERR_PRECONDITION,
                 REASON_PRECONDITION_FAILED);
    expect_fault(pool_remove(scene.pool, fresh_op(), &id, &ours, &existed), ERR_PRECONDITION,
                 REASON_PRECONDITION_FAILED);
    expect_fault(pool_remove(scene.pool, fresh_op(), &id, &ours, &existed), ERR_PRECONDITION,
                 REASON_NOT_LOCAL);
    end(&scene);
}
END_TEST

/* ---- lost answers ---- */

#define MADE_MS 1795340229973
static int64_t made_clock(void) {
    return MADE_MS;
}

/* What HEAD says of a body "1" made at that time. */
static const char *head_made(const char *etag, int64_t made_ms) {
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

static struct scene begin_made(const struct fake_answer *answers, size_t count) {
    struct scene scene = {.store = fake_store_start(answers, count)};
    scene.pool = s3_fixture_open_port(fake_store_port(scene.store), &(struct s3_how){.clock = made_clock});
    return scene;
}

START_TEST(a_lost_answer_is_no_failed_precondition) {
    const char *const late = "HTTP/1.1 504 Late\r\nContent-Length: 0\r\n\r\n";
    const struct fake_answer answers[] = {
        /* Written by the first attempt. */
        {.after = FAKE_RESET},
        {.text = FAILED_412},
        {.text = head_made("new", MADE_MS)},
        /* A gateway lost it. */
        {.text = late, .after = FAKE_CLOSE},
        {.text = FAILED_412},
        {.text = head_made("new", MADE_MS), .after = FAKE_CLOSE},
        /* Somebody else's object of the same bytes. */
        {.after = FAKE_RESET},
        {.text = FAILED_412},
        {.text = head_made("new", MADE_MS - 1), .after = FAKE_CLOSE},
        /* Gone again. */
        {.after = FAKE_RESET},
        {.text = FAILED_412},
        {.text = HEAD_NONE},
        {.text = NO_KEY},
        /* Every answer seen: the precondition failed. */
        {.text = FAILED_412},
    };
    struct scene scene = begin_made(answers, ARRAY_COUNT(answers));
    ck_assert_int_eq(put_if(&scene, CONDITION_ABSENT, NULL), OK);
    ck_assert_int_eq(put_if(&scene, CONDITION_ABSENT, NULL), OK);
    expect_fault(put_if(&scene, CONDITION_ABSENT, NULL), ERR_UNAVAILABLE, REASON_UNAVAILABLE);
    expect_fault(put_if(&scene, CONDITION_ABSENT, NULL), ERR_UNAVAILABLE, REASON_UNAVAILABLE);
    expect_fault(put_if(&scene, CONDITION_ABSENT, NULL), ERR_PRECONDITION, REASON_PRECONDITION_FAILED);
    end(&scene);
}
END_TEST

START_TEST(a_kept_connection_that_dies_loses_answers_too) {
    /* libcurl sends the request again by itself, without a word to us. */
    const struct fake_answer answers[] = {
        {.text = PUT_OK}, {.after = FAKE_CLOSE}, {.text = FAILED_412}, {.text = head_made("new", MADE_MS)}};
    struct scene scene = begin_made(answers, ARRAY_COUNT(answers));
    ck_assert_int_eq(put(scene.pool, "y", "1", 1, NULL), OK);
    ck_assert_int_eq(put_if(&scene, CONDITION_ABSENT, NULL), OK);
    end(&scene);
}
END_TEST

START_TEST(a_lost_answer_to_a_pinned_write) {
    const struct fake_answer answers[] = {
        {.text = HEAD_OLD, .after = FAKE_CLOSE},
        {.after = FAKE_RESET},
        {.text = FAILED_412},
        {.text = head_made("new", MADE_MS), .after = FAKE_CLOSE}, /* written */
        {.text = HEAD_OLD, .after = FAKE_CLOSE},
        {.after = FAKE_RESET},
        {.text = FAILED_412}, /* Ceph: for the quotes; nothing was written */
        {.text = HEAD_OLD},
        {.text = HEAD_OLD},
        {.text = PUT_OK},
    };
    struct scene scene = begin_made(answers, ARRAY_COUNT(answers));
    ck_assert_int_eq(put_if(&scene, CONDITION_MATCH, "s3-old"), OK);
    ck_assert_int_eq(put_if(&scene, CONDITION_MATCH, "s3-old"), OK);
    ck_assert_str_eq(field(&scene, 9, "If-Match"), "old");
    end(&scene);
}
END_TEST

START_TEST(a_lost_answer_to_a_delete) {
    const struct fake_answer answers[] = {
        {.text = HEAD_OLD, .after = FAKE_CLOSE},
        {.after = FAKE_RESET},
        {.text = FAILED_412},
        {.text = HEAD_NONE},
        {.text = NO_KEY, .after = FAKE_CLOSE}, /* absent: deleted */
        {.text = HEAD_OLD, .after = FAKE_CLOSE},
        {.after = FAKE_RESET},
        {.text = FAILED_412},
        {.text = HEAD_OLD, .after = FAKE_CLOSE}, /* still there: refused */
        {.text = HEAD_OLD, .after = FAKE_CLOSE},
        {.after = FAKE_RESET},
        {.text = FAILED_412},
        {.text = head_made("new", MADE_MS), .after = FAKE_CLOSE}, /* another one: who knows */
        {.after = FAKE_RESET},
        {.text = NO_KEY}, /* unconditional, and gone by the first attempt */
    };
    struct scene scene = begin_made(answers, ARRAY_COUNT(answers));
    struct id id = id_of("x");
    struct condition ours = condition_of(CONDITION_MATCH, "s3-old");
    bool existed = false;
    ck_assert_int_eq(pool_remove(scene.pool, fresh_op(), &id, &ours, &existed), OK);
    ck_assert(existed);
    expect_fault(pool_remove(scene.pool, fresh_op(), &id, &ours, &existed), ERR_PRECONDITION,
                 REASON_PRECONDITION_FAILED);
    expect_fault(pool_remove(scene.pool, fresh_op(), &id, &ours, &existed), ERR_UNAVAILABLE,
                 REASON_UNAVAILABLE);
    existed = false;
    ck_assert_int_eq(pool_remove(scene.pool, fresh_op(), &id, NULL, &existed), OK);
    ck_assert(existed);
    end(&scene);
}
END_TEST

/* ---- fills ---- */

static enum err fill(struct scene *scene, bool broken) {
    struct fence fence = {.is_raised = false};
    struct id id = id_of("x");
    ck_assert_int_eq(fence_raise(&scene->pool->fences, fresh_op(), &fence, &id), OK);
    if (broken) {
        fence_break(&scene->pool->fences, &id);
    }
    enum err err = put(scene->pool, "x", "1", 1, &(struct put_how){.fence = &fence, .hold = HOLD_CACHED});
    fence_lower(&scene->pool->fences, &fence);
    return err;
}

START_TEST(fills_create_only_where_the_store_can) {
    const struct fake_answer answers[] = {{.text = PUT_OK}, {.text = FAILED_412}};
    struct scene scene = begin(answers, 2);
    ck_assert_int_eq(fill(&scene, false), OK);
    ck_assert_str_eq(field(&scene, 0, "If-None-Match"), "*");
    expect_fault(fill(&scene, false), ERR_SUPERSEDED, REASON_SUPERSEDED);
    expect_fault(fill(&scene, true), ERR_SUPERSEDED, REASON_SUPERSEDED);
    end(&scene);
}
END_TEST

START_TEST(fills_look_first_where_it_cannot) {
    const struct fake_answer answers[] = {
        {.text = NOT_IMPLEMENTED}, {.text = HEAD_NONE}, {.text = NO_KEY},
        {.text = PUT_OK},          {.text = HEAD_OLD}, /* owned: stays; and create-only is not tried again */
        {.text = HEAD_CACHED},     {.text = PUT_OK},   /* a copy: replaced */
    };
    struct scene scene = begin(answers, ARRAY_COUNT(answers));
    ck_assert_int_eq(fill(&scene, false), OK);
    ck_assert_ptr_null(field(&scene, 3, "If-None-Match"));
    expect_fault(fill(&scene, false), ERR_SUPERSEDED, REASON_SUPERSEDED);
    ck_assert_int_eq(fill(&scene, false), OK);
    end(&scene);
}
END_TEST

/* ---- parts ---- */

#define PARTED_BYTES ((size_t)65 << 20)
#define BEGUN                                                                                                \
    "HTTP/1.1 200 OK\r\nContent-Length: 88\r\n\r\n<InitiateMultipartUploadResult><UploadId>up/1</UploadId>"  \
    "</InitiateMultipartUploadResult>"
#define PART_OK "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: \"part\"\r\n\r\n"
#define COMPLETED                                                                                            \
    "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n "                                                         \
    "<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>"
#define GONE "HTTP/1.1 204 No Content\r\n\r\n"

/* The body and what HEAD says of it once it was stored at MADE_MS. */
static char *parted_body(char ret_head[512]) {
    char *body = calloc(1, PARTED_BYTES);
    ck_assert_ptr_nonnull(body);
    uint8_t sha256[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    digest_sha256(body, PARTED_BYTES, sha256);
    digest_hex(sha256, hex);
    snprintf(
        ret_head, 512,
        "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nETag: \"whole-5\"\r\nx-amz-meta-lailad-created: %lld\r\n"
        "x-amz-meta-lailad-sha256: %s\r\n\r\n",
        PARTED_BYTES, (long long)MADE_MS, hex);
    return body;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw) {
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static size_t journal_files(const char *root) {
    char path[256];
    snprintf(path, sizeof path, "%s/uploads/subject", root);
    DIR *folder = opendir(path);
    size_t count = 0;
    for (struct dirent *item; folder && (item = readdir(folder));) {
        count += item->d_name[0] != '.';
    }
    if (folder) {
        closedir(folder);
    }
    return count;
}

START_TEST(large_bodies_go_in_parts) {
    char data_dir[] = "/tmp/lailad-s3-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(data_dir));
    char head[512];
    char *body = parted_body(head);
    const struct fake_answer answers[] = {
        {.text = BEGUN},   {.text = PART_OK},  {.text = ERROR_BODY("503 Slow", "36", "SlowDown")},
        {.text = PART_OK}, {.text = PART_OK},  {.text = PART_OK},
        {.text = PART_OK}, {.text = COMPLETED}};
    struct scene scene = {.store = fake_store_start(answers, ARRAY_COUNT(answers))};
    scene.pool = s3_fixture_open_port(fake_store_port(scene.store), &(struct s3_how){.data_dir = data_dir});
    ck_assert_int_eq(put(scene.pool, "x", body, PARTED_BYTES, NULL), OK);
    ck_assert(head_starts(&scene, 0, "POST /bucket/x?uploads= HTTP/1.1"));
    ck_assert_ptr_nonnull(field(&scene, 0, "x-amz-meta-lailad-sha256"));
    ck_assert(head_starts(&scene, 1, "PUT /bucket/x?partNumber=1&uploadId=up%2F1 HTTP/1.1"));
    ck_assert(head_starts(&scene, 2, "PUT /bucket/x?partNumber=2&"));
    ck_assert(head_starts(&scene, 3, "PUT /bucket/x?partNumber=2&"));
    ck_assert_str_eq(field(&scene, 3, "Content-Length"), "16777216");
    ck_assert_str_eq(field(&scene, 6, "Content-Length"), "1048576");
    ck_assert(head_starts(&scene, 7, "POST /bucket/x?uploadId=up%2F1 HTTP/1.1"));
    ck_assert_ptr_nonnull(strstr(fake_store_body(scene.store, 7),
                                 "<Part><PartNumber>5</PartNumber><ETag>&quot;part&quot;</ETag></Part>"));
    ck_assert_uint_eq(journal_files(data_dir), 0);
    end(&scene);
    free(body);
    ck_assert_int_eq(nftw(data_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}
END_TEST

START_TEST(a_failed_upload_is_aborted_or_remembered) {
    char data_dir[] = "/tmp/lailad-s3-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(data_dir));
    char head[512];
    char *body = parted_body(head);
    const char *denied = ERROR_BODY("403 Forbidden", "40", "AccessDenied");
    const struct fake_answer answers[] = {
        {.text = BEGUN},  {.text = denied}, {.text = GONE},   /* aborted at once */
        {.text = BEGUN},  {.text = denied}, {.text = denied}, /* abort refused too: remembered */
        {.text = PUT_OK}, {.text = GONE}};                    /* the next life's first success */
    struct scene scene = {.store = fake_store_start(answers, ARRAY_COUNT(answers))};
    const struct s3_how how = {.data_dir = data_dir};
    scene.pool = s3_fixture_open_port(fake_store_port(scene.store), &how);
    expect_fault(put(scene.pool, "x", body, PARTED_BYTES, NULL), ERR_DENIED, REASON_DENIED);
    ck_assert(head_starts(&scene, 2, "DELETE /bucket/x?uploadId=up%2F1 HTTP/1.1"));
    ck_assert_uint_eq(journal_files(data_dir), 0);
    expect_fault(put(scene.pool, "x", body, PARTED_BYTES, NULL), ERR_DENIED, REASON_DENIED);
    ck_assert_uint_eq(journal_files(data_dir), 1);
    pool_unref(scene.pool);

    scene.pool = s3_fixture_open_port(fake_store_port(scene.store), &how);
    ck_assert_uint_eq(fake_store_requests(scene.store), 6); /* opening contacts nobody */
    ck_assert_int_eq(put(scene.pool, "y", "1", 1, NULL), OK);
    ck_assert(head_starts(&scene, 7, "DELETE /bucket/x?uploadId=up%2F1 HTTP/1.1"));
    ck_assert_uint_eq(journal_files(data_dir), 0);
    end(&scene);
    free(body);
    ck_assert_int_eq(nftw(data_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}
END_TEST

/* A completion that leaves it open, and what the store has then. */
static const struct {
    struct fake_answer completion;
    bool there;
    enum err err;
} open_end[] = {
    {{.text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}, true, OK},
    {{.text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n  "}, true, OK},
    {{.text = ERROR_BODY("404 Not Found", "40", "NoSuchUpload")}, true, OK}, /* the first attempt's doing */
    {{.text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}, false, ERR_CORRUPT}, /* never a 404 */
    {{.text = ERROR_BODY("404 Not Found", "40", "NoSuchUpload")}, false, ERR_CORRUPT},
};

START_TEST(an_open_completion_is_looked_into) {
    char head[512];
    char *body = parted_body(head);
    const struct fake_answer answers[] = {
        {.text = BEGUN},         {.text = PART_OK},
        {.text = PART_OK},       {.text = PART_OK},
        {.text = PART_OK},       {.text = PART_OK},
        open_end[_i].completion, {.text = open_end[_i].there ? head : HEAD_NONE},
        {.text = NO_KEY},        {.text = GONE}};
    struct scene scene = {.store = fake_store_start(answers, open_end[_i].there ? 8 : 10)};
    scene.pool = s3_fixture_open_port(fake_store_port(scene.store), &(struct s3_how){.clock = made_clock});
    enum err err = put(scene.pool, "x", body, PARTED_BYTES, NULL);
    if (open_end[_i].err == OK) {
        ck_assert_int_eq(err, OK);
    } else {
        expect_fault(err, open_end[_i].err, REASON_BAD_ANSWER);
    }
    end(&scene);
    free(body);
}
END_TEST

static void leave_upload(const char *root, const char *store, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/uploads", root);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/uploads/subject", root);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/uploads/subject/upload-%s", root, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_gt(fprintf(file, "%s\n%s\nup/%s\n", store, name, name), 0);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(leftovers_go_one_by_one_and_only_when_gone) {
    char data_dir[] = "/tmp/lailad-s3-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(data_dir));
    const struct fake_answer answers[] = {
        {.text = PUT_OK}, {.text = ERROR_BODY("404 Not Found", "40", "NoSuchUpload")},    /* gone: dropped */
        {.text = PUT_OK}, {.text = ERROR_BODY("400 Bad Request", "41", "SomethingElse")}, /* stays */
        {.text = PUT_OK}, {.text = GONE},
        {.text = PUT_OK}};
    struct scene scene = {.store = fake_store_start(answers, ARRAY_COUNT(answers))};
    char store[128];
    snprintf(store, sizeof store, "http://127.0.0.1:%u/bucket", fake_store_port(scene.store));
    leave_upload(data_dir, store, "a");
    leave_upload(data_dir, store, "b");
    leave_upload(data_dir, store, "c");
    scene.pool = s3_fixture_open_port(fake_store_port(scene.store), &(struct s3_how){.data_dir = data_dir});
    static const size_t left[] = {2, 2, 1, 1};
    for (size_t i = 0; i < ARRAY_COUNT(left); i++) {
        ck_assert_int_eq(put(scene.pool, "x", "1", 1, NULL), OK);
        ck_assert_uint_eq(journal_files(data_dir), left[i]);
    }
    end(&scene);
    ck_assert_int_eq(nftw(data_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}
END_TEST

START_TEST(an_error_inside_success_is_an_error) {
    char head[512];
    char *body = parted_body(head);
    const char *late =
        "HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\n<Error><Code>InternalError</Code></Error>  ";
    const struct fake_answer answers[] = {
        {.text = BEGUN},   {.text = PART_OK}, {.text = PART_OK},   {.text = PART_OK}, {.text = PART_OK},
        {.text = PART_OK}, {.text = late},    {.text = HEAD_NONE}, {.text = NO_KEY},  {.text = GONE}};
    struct scene scene = begin(answers, ARRAY_COUNT(answers));
    expect_fault(put(scene.pool, "x", body, PARTED_BYTES, NULL), ERR_UNAVAILABLE, REASON_UNAVAILABLE);
    end(&scene);
    free(body);
}
END_TEST

TCase *s3_writes_case(void) {
    TCase *tcase = tcase_create("writes");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, a_put_says_everything, 0, 2);
    tcase_add_test(tcase, a_body_is_sent_again_whole);
    tcase_add_test(tcase, a_writer_closed_early_sends_nothing);
    tcase_add_test(tcase, control_bytes_never_become_fields);
    tcase_add_test(tcase, an_extension_travels_in_pieces);
    tcase_add_test(tcase, absence_is_the_servers_to_judge);
    tcase_add_test(tcase, tags_are_translated);
    tcase_add_test(tcase, a_store_that_compares_quotes_is_understood);
    tcase_add_test(tcase, deletes_under_a_precondition);
    tcase_add_test(tcase, a_lost_answer_is_no_failed_precondition);
    tcase_add_test(tcase, a_kept_connection_that_dies_loses_answers_too);
    tcase_add_test(tcase, a_lost_answer_to_a_pinned_write);
    tcase_add_test(tcase, a_lost_answer_to_a_delete);
    tcase_add_test(tcase, fills_create_only_where_the_store_can);
    tcase_add_test(tcase, fills_look_first_where_it_cannot);
    tcase_add_test(tcase, large_bodies_go_in_parts);
    tcase_add_test(tcase, a_failed_upload_is_aborted_or_remembered);
    tcase_add_loop_test(tcase, an_open_completion_is_looked_into, 0, (int)ARRAY_COUNT(open_end));
    tcase_add_test(tcase, leftovers_go_one_by_one_and_only_when_gone);
    tcase_add_test(tcase, an_error_inside_success_is_an_error);
    return tcase;
}
