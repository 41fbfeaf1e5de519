/* test_s3_multipart.c - large bodies in parts, their completion, and what a crash leaves. */
#include "s3_suites.h"

#include "s3_scene.h"

#include "pools/base/clock.h"
#include "pools/s3/s3_internal.h"

#include <dirent.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

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

static void await_journal_files(const char *root, size_t count) {
    const struct timespec moment = {.tv_nsec = 1000000};
    while (journal_files(root) != count) { /* the case's timeout ends it */
        nanosleep(&moment, NULL);
    }
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
        {.text = BEGUN}, {.text = denied}, {.text = GONE},   /* aborted at once */
        {.text = BEGUN}, {.text = denied}, {.text = denied}, /* abort refused too: remembered */
        {.text = GONE}};                                     /* the next life's start */
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
    await_journal_files(data_dir, 0);
    ck_assert(head_starts(&scene, 6, "DELETE /bucket/x?uploadId=up%2F1 HTTP/1.1"));
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

START_TEST(leftovers_go_at_the_start) {
    char data_dir[] = "/tmp/lailad-s3-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(data_dir));
    const struct fake_answer answers[] = {{.text = GONE},
                                          {.text = ERROR_BODY("404 Not Found", "40", "NoSuchUpload")},
                                          {.text = GONE},
                                          {.text = PUT_OK}};
    struct scene scene = {.store = fake_store_start(answers, ARRAY_COUNT(answers))};
    char store[128];
    snprintf(store, sizeof store, "http://127.0.0.1:%u/bucket", fake_store_port(scene.store));
    leave_upload(data_dir, store, "a");
    leave_upload(data_dir, store, "b");
    leave_upload(data_dir, store, "c");
    leave_upload(data_dir, "http://elsewhere/bucket", "d"); /* stays */
    scene.pool = s3_fixture_open_port(fake_store_port(scene.store), &(struct s3_how){.data_dir = data_dir});
    await_journal_files(data_dir, 1);
    ck_assert_int_eq(put(scene.pool, "x", "1", 1, NULL), OK);
    end(&scene);
    ck_assert_int_eq(nftw(data_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}
END_TEST

static bool is_swept(struct pool *pool) {
    return !atomic_load(&s3_pool_checked(pool)->sweep.busy);
}

START_TEST(leftovers_that_stay_go_after_writes) {
    char data_dir[] = "/tmp/lailad-s3-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(data_dir));
    const char *refused = ERROR_BODY("400 Bad Request", "41", "SomethingElse");
    const struct fake_answer answers[] = {{.text = refused}, /* at the start: no other is tried */
                                          {.text = PUT_OK},  {.text = GONE},   {.text = PUT_OK},
                                          {.text = refused}, {.text = PUT_OK}, {.text = GONE},
                                          {.text = PUT_OK}};
    struct scene scene = {.store = fake_store_start(answers, ARRAY_COUNT(answers))};
    char store[128];
    snprintf(store, sizeof store, "http://127.0.0.1:%u/bucket", fake_store_port(scene.store));
    leave_upload(data_dir, store, "a");
    leave_upload(data_dir, store, "b");
    leave_upload(data_dir, store, "c");
    scene.pool = s3_fixture_open_port(fake_store_port(scene.store), &(struct s3_how){.data_dir = data_dir});
    const struct timespec moment = {.tv_nsec = 1000000};
    while (!is_swept(scene.pool)) {
        nanosleep(&moment, NULL);
    }
    static const size_t left[] = {2, 2, 1, 1};
    for (size_t i = 0; i < ARRAY_COUNT(left); i++) {
        ck_assert_int_eq(put(scene.pool, "x", "1", 1, NULL), OK);
        ck_assert_uint_eq(journal_files(data_dir), left[i]);
    }
    end(&scene);
    ck_assert_int_eq(nftw(data_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}
END_TEST

START_TEST(closing_waits_for_no_store) {
    char data_dir[] = "/tmp/lailad-s3-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(data_dir));
    const struct fake_answer answers[] = {{.after = FAKE_HANG}};
    struct scene scene = {.store = fake_store_start(answers, ARRAY_COUNT(answers))};
    char store[128];
    snprintf(store, sizeof store, "http://127.0.0.1:%u/bucket", fake_store_port(scene.store));
    leave_upload(data_dir, store, "a");
    scene.pool = s3_fixture_open_port(fake_store_port(scene.store), &(struct s3_how){.data_dir = data_dir});
    const struct timespec moment = {.tv_nsec = 1000000};
    while (!fake_store_requests(scene.store)) {
        nanosleep(&moment, NULL);
    }
    uint64_t began_ns = clock_now_ns();
    end(&scene);
    ck_assert_uint_lt(clock_now_ns() - began_ns, 5 * NS_PER_S);
    ck_assert_uint_eq(journal_files(data_dir), 1);
    ck_assert_int_eq(nftw(data_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}
END_TEST

START_TEST(an_error_inside_success_is_an_error) {
    char head[512];
    char *body = parted_body(head);
    const char *late =
        "HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\n<Error><Code>AccessDenied</Code></Error>   ";
    const struct fake_answer answers[] = {
        {.text = BEGUN},   {.text = PART_OK}, {.text = PART_OK},   {.text = PART_OK}, {.text = PART_OK},
        {.text = PART_OK}, {.text = late},    {.text = HEAD_NONE}, {.text = NO_KEY},  {.text = GONE}};
    struct scene scene = begin(answers, ARRAY_COUNT(answers));
    expect_fault(put(scene.pool, "x", body, PARTED_BYTES, NULL), ERR_DENIED, REASON_DENIED);
    end(&scene);
    free(body);
}
END_TEST

START_TEST(an_error_inside_success_is_asked_about_again) {
    char head[512];
    char *body = parted_body(head);
    const char *late =
        "HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\n<Error><Code>InternalError</Code></Error>  ";
    const struct fake_answer answers[] = {{.text = BEGUN},   {.text = PART_OK}, {.text = PART_OK},
                                          {.text = PART_OK}, {.text = PART_OK}, {.text = PART_OK},
                                          {.text = late},    {.text = late},    {.text = COMPLETED}};
    struct scene scene = begin(answers, ARRAY_COUNT(answers));
    ck_assert_int_eq(put(scene.pool, "x", body, PARTED_BYTES, NULL), OK);
    end(&scene);
    free(body);
}
END_TEST

TCase *s3_multipart_case(void) {
    TCase *tcase = tcase_create("multipart");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, large_bodies_go_in_parts);
    tcase_add_test(tcase, a_failed_upload_is_aborted_or_remembered);
    tcase_add_loop_test(tcase, an_open_completion_is_looked_into, 0, (int)ARRAY_COUNT(open_end));
    tcase_add_test(tcase, leftovers_go_at_the_start);
    tcase_add_test(tcase, leftovers_that_stay_go_after_writes);
    tcase_add_test(tcase, closing_waits_for_no_store);
    tcase_add_test(tcase, an_error_inside_success_is_an_error);
    tcase_add_test(tcase, an_error_inside_success_is_asked_about_again);
    return tcase;
}
