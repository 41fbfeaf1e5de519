/* test_s3_key.c - ids to object names to URL paths, and which names are entries. */
#include "s3_suites.h"

#include "s3_fixture.h"

#include "pools/s3/s3_key.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *prefix, *id, *name, *path;
} known[] = {
    {"", "LAILA:ENTRY:x", "LAILA%3AENTRY%3Ax", "LAILA%253AENTRY%253Ax"},
    {"", "a%3Ab", "a%253Ab", "a%25253Ab"},
    {"", "a/b//", "a%2Fb%2F%2F", "a%252Fb%252F%252F"},
    {"", ".", ".", "."},
    {"", "..", "..", ".."},
    {"", "a b+c~d", "a%20b%2Bc~d", "a%2520b%252Bc~d"},
    {"", "\xc3\xa4", "%C3%A4", "%25C3%25A4"},
    {"p/q r/", "x:y", "p/q r/x%3Ay", "p/q%20r/x%253Ay"},
    {"p-", "/", "p-%2F", "p-%252F"},
};

START_TEST(names_and_paths) {
    struct id id = id_of(known[_i].id);
    char name[S3_NAME_BYTES];
    ck_assert(s3_key_from_id(known[_i].prefix, &id, name));
    ck_assert_str_eq(name, known[_i].name);
    struct buf path;
    buf_init(&path, 4096);
    ck_assert_int_eq(s3_key_to_path(&path, name), OK);
    ck_assert_str_eq(path.data, known[_i].path);
    buf_fini(&path);
    char back[ID_MOST_BYTES + 1];
    size_t bytes = 0;
    ck_assert(s3_key_to_id(known[_i].prefix, name, back, &bytes));
    ck_assert_str_eq(back, known[_i].id);
    ck_assert_uint_eq(bytes, strlen(known[_i].id));
}
END_TEST

START_TEST(foreign_names) {
    const char *const foreign[] = {"p/",    "p",   "q/x",  "p/a:b", "p/a%3ab",   "p/a/b",
                                   "p/%41", "p/%", "p/%4", "p/%00", "p/%C3",     "p/%ED%A0%80",
                                   "p/a b", "P/x", "",     "p/%2",  "p/\xc3\xa4"};
    for (size_t i = 0; i < ARRAY_COUNT(foreign); i++) {
        char id[ID_MOST_BYTES + 1] = "untouched";
        size_t bytes = 7;
        ck_assert_msg(!s3_key_to_id("p/", foreign[i], id, &bytes), "%s", foreign[i]);
        ck_assert_str_eq(id, "untouched");
        ck_assert_uint_eq(bytes, 7);
    }
}
END_TEST

START_TEST(names_end_at_1024_bytes) {
    char text[ID_MOST_BYTES + 1];
    char name[S3_NAME_BYTES];
    memset(text, 'a', ID_MOST_BYTES);
    text[ID_MOST_BYTES] = '\0';
    struct id id = id_of(text);
    ck_assert(s3_key_from_id("", &id, name));
    ck_assert_uint_eq(strlen(name), 1024);
    ck_assert(!s3_key_from_id("p", &id, name));
    memset(text, ':', 342);
    text[342] = '\0';
    id = id_of(text);
    ck_assert(!s3_key_from_id("", &id, name));
    text[341] = '\0';
    id = id_of(text);
    ck_assert(s3_key_from_id("", &id, name));
    ck_assert_uint_eq(strlen(name), 1023);
}
END_TEST

TCase *s3_key_case(void) {
    TCase *tcase = tcase_create("key");
    tcase_add_loop_test(tcase, names_and_paths, 0, (int)ARRAY_COUNT(known));
    tcase_add_test(tcase, foreign_names);
    tcase_add_test(tcase, names_end_at_1024_bytes);
    return tcase;
}
