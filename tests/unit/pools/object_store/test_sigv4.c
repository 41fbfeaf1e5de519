/* test_sigv4.c - every signature is compared with botocore's (sigv4_vectors.py); canonical forms by hand where they teach. */
#include "object_store_suites.h"

#include "pools/object_store/sigv4.h"

#include <check.h>

#include <string.h>

struct vector {
    const char *name, *access_key_id, *secret_access_key, *region, *method, *path, *hash;
    size_t query_count;
    struct sigv4_pair query[12];
    size_t field_count;
    struct sigv4_pair field[48];
    const char *authorization;
};

static const struct vector vectors[] = {
#include "sigv4_vectors.inc"
};

START_TEST(signs_as_botocore_does) {
    const struct vector *vector = &vectors[_i];
    struct sigv4_request request = {.method = vector->method,
                                    .path = vector->path,
                                    .query = vector->query,
                                    .query_count = vector->query_count,
                                    .fields = vector->field,
                                    .field_count = vector->field_count,
                                    .payload_hash = vector->hash};
    struct sigv4_credentials credentials = {.access_key_id = vector->access_key_id,
                                            .secret_access_key = vector->secret_access_key,
                                            .region = vector->region,
                                            .service = "s3"};
    struct buf authorization;
    struct sigv4_key key = {.day = "20261121"}; /* of the day before: not to be used */
    for (unsigned i = 0; i < 2; i++) {          /* the second time with the key of the first */
        buf_init(&authorization, 16384);
        ck_assert_int_eq(
            sigv4_authorization(&authorization, &credentials, "20261122T093709Z", &request, &key), OK);
        ck_assert_str_eq(key.day, "20261122");
        ck_assert_msg(strcmp(authorization.data, vector->authorization) == 0, "%s:\n%s\n%s", vector->name,
                      authorization.data, vector->authorization);
        buf_fini(&authorization);
    }
}
END_TEST

START_TEST(canonical_request_is_built_as_documented) {
    const struct sigv4_pair query[] = {{"prefix", "a/b c"}, {"list-type", "2"}, {"delete", ""}};
    const struct sigv4_pair fields[] = {
        {"X-Amz-Meta-A-B", "2"}, {"x-amz-meta-a", "  1   x "}, {"Host", "h:1"}};
    struct sigv4_request request = {.method = "GET",
                                    .path = "/b/k%253A",
                                    .query = query,
                                    .query_count = 3,
                                    .fields = fields,
                                    .field_count = 3,
                                    .payload_hash = "payload-hash"};
    struct buf canonical, names;
    buf_init(&canonical, 4096);
    buf_init(&names, 4096);
    ck_assert_int_eq(sigv4_canonical_request(&canonical, &request, &names), OK);
    ck_assert_str_eq(canonical.data, "GET\n/b/k%253A\ndelete=&list-type=2&prefix=a%2Fb%20c\n"
                                     "host:h:1\nx-amz-meta-a:1 x\nx-amz-meta-a-b:2\n\n"
                                     "host;x-amz-meta-a;x-amz-meta-a-b\npayload-hash");
    ck_assert_str_eq(names.data, "host;x-amz-meta-a;x-amz-meta-a-b");
    buf_fini(&canonical);
    buf_fini(&names);
}
END_TEST

START_TEST(dates_are_utc) {
    char text[SIGV4_DATE_BYTES];
    sigv4_date(INT64_C(1795340229973), text);
    ck_assert_str_eq(text, "20261122T093709Z");
    sigv4_date(0, text);
    ck_assert_str_eq(text, "19700101T000000Z");
}
END_TEST

START_TEST(too_much_is_refused) {
    static struct sigv4_pair many[SIGV4_MOST_PAIRS + 1];
    for (size_t i = 0; i < ARRAY_COUNT(many); i++) {
        many[i] = (struct sigv4_pair){"n", "v"};
    }
    struct buf buf;
    buf_init(&buf, 1 << 20);
    ck_assert_int_eq(sigv4_query(&buf, many, ARRAY_COUNT(many)), ERR_TOO_LARGE);
    buf_fini(&buf);
    buf_init(&buf, 4);
    ck_assert_int_eq(sigv4_query(&buf, many, 2), ERR_TOO_LARGE);
    buf_fini(&buf);
}
END_TEST

TCase *sigv4_case(void) {
    TCase *tcase = tcase_create("sigv4");
    tcase_add_loop_test(tcase, signs_as_botocore_does, 0, (int)ARRAY_COUNT(vectors));
    tcase_add_test(tcase, canonical_request_is_built_as_documented);
    tcase_add_test(tcase, dates_are_utc);
    tcase_add_test(tcase, too_much_is_refused);
    return tcase;
}
