/* subject.c - see subject.h. The s3 kind needs a server: LAILAD_TEST_S3="http://host:port[/bucket] ACCESS SECRET", which
 * tests/servers/start_swift prints. Commas do instead of blanks; the bucket (lailad-test) must exist. */
#include "tests/contract/subject.h"

#include "pools/base/executor.h"
#include "pools/base/spool.h"
#include "pools/kinds.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct pool_kind *subject_kind;

struct s3_address {
    char endpoint[256];
    char bucket[128];
    char access[128];
    char secret[128];
};
static struct s3_address s3_address;

static bool is_s3(void) {
    return strcmp(subject_kind->name, "s3") == 0;
}

static bool s3_address_parse(const char *text, struct s3_address *ret_address) {
    char copy[640];
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy) {
        return false;
    }
    char *rest = copy;
    const char *url = strsep(&rest, ", ");
    const char *access = strsep(&rest, ", ");
    const char *secret = strsep(&rest, ", ");
    const char *host = strstr(url, "://");
    if (!host || !access || !secret) {
        return false;
    }
    size_t endpoint_bytes = (size_t)(strchrnul(host + 3, '/') - url);
    const char *bucket = url[endpoint_bytes] ? url + endpoint_bytes + 1 : "lailad-test";
    snprintf(ret_address->endpoint, sizeof ret_address->endpoint, "%.*s", (int)endpoint_bytes, url);
    snprintf(ret_address->bucket, sizeof ret_address->bucket, "%s", bucket);
    snprintf(ret_address->access, sizeof ret_address->access, "%s", access);
    snprintf(ret_address->secret, sizeof ret_address->secret, "%s", secret);
    return true;
}

bool subject_choose(const char *kind) {
    subject_kind = kinds_find(kind);
    if (!subject_kind) {
        fprintf(stderr, "there is no kind '%s'\n", kind);
        exit(2);
    }
    if (!is_s3()) {
        return true;
    }
    const char *address = getenv("LAILAD_TEST_S3");
    if (!address) {
        printf("skipped: kind s3: LAILAD_TEST_S3 is not set (tests/run.sh starts a server)\n");
        return false;
    }
    if (!s3_address_parse(address, &s3_address)) {
        fprintf(stderr, "LAILAD_TEST_S3 is not \"http://host:port[/bucket] ACCESS SECRET\"\n");
        exit(2);
    }
    return true;
}

void place_make(struct place *ret_place) {
    snprintf(ret_place->directory, sizeof ret_place->directory, "/tmp/lailad-contract-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(ret_place->directory));
    /* The directory's random name is unique: use it for the bucket too. */
    snprintf(ret_place->prefix, sizeof ret_place->prefix, "%s/", strrchr(ret_place->directory, '/') + 1);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw) {
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

void place_remove(struct place *place) {
    if (is_s3()) {
        struct op op;
        op_init(&op, 0, 0);
        struct pool *pool = subject_open(place, NULL, 0);
        uint64_t removed = 0;
        enum err err = pool_empty(pool, &op, &removed);
        ck_assert_msg(err == OK, "cleaning the bucket: %s", op.fault.detail);
        pool_unref(pool);
    }
    ck_assert_int_eq(nftw(place->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void set(struct settings *settings, const char *name, const char *text) {
    struct op op;
    op_init(&op, 0, 0);
    char *end = NULL;
    long long number = strtoll(text, &end, 10);
    bool is_number = *text && !*end;
    enum err err = is_number ? settings_set_number(settings, &op, name, number)
                             : settings_set_text(settings, &op, name, text);
    ck_assert_msg(err == OK, "%s", op.fault.detail);
}

static void set_s3(struct settings *settings, const struct place *place) {
    const struct setting s3[] = {
        {"endpoint", s3_address.endpoint},
        {"bucket", s3_address.bucket},
        {"access_key_id", s3_address.access},
        {"secret_access_key", s3_address.secret},
        {"prefix", place->prefix},
        {"addressing", "path"},
        {"region", "us-east-1"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(s3); i++) {
        set(settings, s3[i].name, s3[i].text);
    }
}

/* Spools of all pools of one test program; the directory is unlinked files only, so /tmp itself will do. */
static struct spool_dir *spool_dir(void) {
    static struct spool_dir *dir;
    if (!dir) {
        struct op op;
        op_init(&op, 0, 0);
        ck_assert_int_eq(spool_dir_open(&op, "/tmp", UINT64_C(1) << 30, &dir), OK);
    }
    return dir;
}

struct pool *subject_open(const struct place *place, const struct setting *more, size_t count) {
    struct op op;
    op_init(&op, 0, 0);
    AUTO(settings_free)
    struct settings *settings = settings_new(subject_kind->options, subject_kind->option_count);
    ck_assert_ptr_nonnull(settings);
    if (is_s3()) {
        set_s3(settings, place);
    }
    for (size_t i = 0; i < count; i++) {
        set(settings, more[i].name, more[i].text);
    }
    enum err err = settings_finish(settings, &op);
    ck_assert_msg(err == OK, "%s", op.fault.detail);
    const struct pool_environment environment = {.data_dir = place->directory, .spool_dir = spool_dir()};
    struct pool *pool = NULL;
    err = subject_kind->open(&op, &environment, "subject", settings, &pool);
    ck_assert_msg(err == OK, "opening: %s", op.fault.detail);
    (void)STEAL(settings);
    return pool;
}

bool subject_has_option(const char *name) {
    for (size_t i = 0; i < subject_kind->option_count; i++) {
        if (strcmp(subject_kind->options[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

bool subject_survives_close(void) {
    return strcmp(subject_kind->name, "memory") != 0;
}

unsigned subject_rounds(unsigned local, unsigned remote) {
    return is_s3() ? remote : local;
}
