/* test_digest.c - SHA-256 against FIPS 180-4's examples, and the keyed hash. */
#include "tests/unit/pools/base/base_suites.h"

#include "pools/base/digest.h"
#include "pools/base/hash.h"

static const struct {
    const char *text;
    const char *hex;
} rows[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

START_TEST(known_answers) {
    uint8_t sha256[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    digest_sha256(rows[_i].text, strlen(rows[_i].text), sha256);
    digest_hex(sha256, hex);
    ck_assert_str_eq(hex, rows[_i].hex);
    struct digest *digest = digest_new();
    for (const char *at = rows[_i].text; *at; at++) {
        digest_update(digest, at, 1);
    }
    digest_update(digest, "", 0);
    digest_final(digest, sha256);
    digest_hex(sha256, hex);
    ck_assert_str_eq(hex, rows[_i].hex);
    digest_free(digest);
    digest_free(NULL);
}
END_TEST

START_TEST(hashes_are_stable_and_spread) {
    ck_assert_uint_eq(hash_bytes("a", 1), hash_bytes("a", 1));
    ck_assert_uint_ne(hash_bytes("a", 1), hash_bytes("b", 1));
    ck_assert_uint_ne(hash_bytes("a", 1), hash_bytes("a\0", 2));
    unsigned tops[16] = {0};
    for (unsigned i = 0; i < 1600; i++) {
        tops[hash_bytes(&i, sizeof i) >> 60]++;
    }
    for (unsigned i = 0; i < 16; i++) {
        ck_assert_uint_gt(tops[i], 40);
    }
}
END_TEST

Suite *digest_suite(void) {
    Suite *suite = suite_create("digest");
    TCase *tcase = tcase_create("all");
    tcase_add_loop_test(tcase, known_answers, 0, (int)(sizeof rows / sizeof rows[0]));
    tcase_add_test(tcase, hashes_are_stable_and_spread);
    suite_add_tcase(suite, tcase);
    return suite;
}
