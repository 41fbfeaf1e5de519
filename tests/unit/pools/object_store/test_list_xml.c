/* test_list_xml.c - answers as stores give them, and as no store should. */
#include "object_store_suites.h"

#include "pools/base/buf.h"
#include "pools/object_store/list_xml.h"
#include "pools/object_store/xml_walk.h"

#include <check.h>

#include <string.h>

#define XML "<?xml version='1.0' encoding='UTF-8'?>\n"
#define NS " xmlns='http://s3.amazonaws.com/doc/2006-03-01/'"

static struct op op;

static enum err page_of(const char *text, struct list_page *ret_page) {
    op_init(&op, 0, 0);
    return list_xml_page(&op, text, strlen(text), ret_page);
}

START_TEST(a_page_with_a_namespace) {
    struct list_page page;
    ck_assert_int_eq(
        page_of(XML "<ListBucketResult" NS "><Name>b</Name><Prefix>no</Prefix><IsTruncated>true</IsTruncated>"
                    "<Contents><Key>a%3Ab</Key><ETag>\"x\"</ETag><Owner><ID>Key</ID></Owner></Contents>"
                    "<Contents><Key>c &amp; &#x64; &lt;</Key></Contents></ListBucketResult>",
                &page),
        OK);
    ck_assert_uint_eq(page.count, 2);
    ck_assert_str_eq(page.keys[0], "a%3Ab");
    ck_assert_str_eq(page.keys[1], "c & d <");
    ck_assert(page.truncated);
    list_page_fini(&page);
}
END_TEST

START_TEST(a_page_with_prefixed_names) {
    struct list_page page;
    ck_assert_int_eq(
        page_of("<s3:ListBucketResult xmlns:s3='urn:x'><s3:Contents><s3:Key>k</s3:Key></s3:Contents>"
                "</s3:ListBucketResult>",
                &page),
        OK);
    ck_assert_uint_eq(page.count, 1);
    ck_assert_str_eq(page.keys[0], "k");
    ck_assert(!page.truncated);
    list_page_fini(&page);
}
END_TEST

START_TEST(url_encoding_is_undone_where_said) {
    struct list_page page;
    ck_assert_int_eq(page_of("<ListBucketResult><Contents><Key>LAILA%253A+%01%e2%82%AC%zz%2</Key></Contents>"
                             "<EncodingType>url</EncodingType></ListBucketResult>",
                             &page),
                     OK);
    ck_assert_str_eq(page.keys[0], "LAILA%3A \x01\xe2\x82\xac%zz%2");
    list_page_fini(&page);
}
END_TEST

START_TEST(an_empty_page) {
    struct list_page page;
    ck_assert_int_eq(page_of("  \n" XML "<ListBucketResult/>", &page), OK);
    ck_assert_uint_eq(page.count, 0);
    list_page_fini(&page);
}
END_TEST

START_TEST(bad_pages_are_refused) {
    const char *const bad[] = {
        "",
        "not xml",
        "<ListBucketResult>",
        "<Other/>",
        "<Other><ListBucketResult/></Other>",
        "<!DOCTYPE x [<!ENTITY e "
        "'boom'>]><ListBucketResult><Contents><Key>&e;</Key></Contents></ListBucketResult>",
        "<!DOCTYPE x SYSTEM 'file:///etc/passwd'><ListBucketResult/>",
        "<ListBucketResult>&undefined;</ListBucketResult>",
        "<ListBucketResult><Contents><Key>\x01</Key></Contents></ListBucketResult>",
        "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a></a></a></"
        "a></a></a></a></a></a>",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct list_page page;
        ck_assert_msg(page_of(bad[i], &page) == ERR_CORRUPT, "%s", bad[i]);
        ck_assert_int_eq(op.fault.reason, REASON_BAD_ANSWER);
    }
}
END_TEST

/* A listing of `count` keys, each of `key_bytes` bytes. */
static void make_page(struct buf *xml, size_t count, size_t key_bytes) {
    buf_init(xml, 64 << 20);
    ck_assert_int_eq(buf_append_text(xml, "<ListBucketResult>"), OK);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(buf_append_text(xml, "<Contents><Key>"), OK);
        for (size_t byte = 0; byte < key_bytes; byte++) {
            ck_assert_int_eq(buf_append(xml, "k", 1), OK);
        }
        ck_assert_int_eq(buf_append_text(xml, "</Key></Contents>"), OK);
    }
    ck_assert_int_eq(buf_append_text(xml, "</ListBucketResult>"), OK);
}

START_TEST(sizes_are_bounded) {
    const struct {
        size_t count, key_bytes;
        enum err err;
    } sizes[] = {{LIST_MOST_KEYS, 1024, OK},
                 {LIST_MOST_KEYS + 1, 1, ERR_CORRUPT},
                 {1, XML_MOST_TEXT_BYTES, OK},
                 {1, XML_MOST_TEXT_BYTES + 1, ERR_CORRUPT}};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct buf xml;
        make_page(&xml, sizes[i].count, sizes[i].key_bytes);
        struct list_page page = {0};
        op_init(&op, 0, 0);
        ck_assert_int_eq(list_xml_page(&op, xml.data, xml.size, &page), sizes[i].err);
        ck_assert_uint_eq(page.count, sizes[i].err == OK ? sizes[i].count : 0);
        list_page_fini(&page);
        buf_fini(&xml);
    }
}
END_TEST

static struct error_answer error_of(const char *text) {
    struct error_answer error;
    list_xml_error(text, strlen(text), &error);
    return error;
}

START_TEST(error_documents) {
    struct error_answer error =
        error_of(XML "<Error><Code>PermanentRedirect</Code><Message>secret stuff</Message>"
                     "<Region>eu-west-1</Region></Error>");
    ck_assert_str_eq(error.code, "PermanentRedirect");
    ck_assert_str_eq(error.region, "eu-west-1");
    ck_assert_str_eq(error_of("<html><body>502</body></html>").code, "");
    ck_assert_str_eq(error_of("").code, "");
    ck_assert_str_eq(error_of("<Error><Code>a\nb: c</Code></Error>").code, "");
    ck_assert_str_eq(error_of("<Error><Code>NoSuchKey</Code>").code, "");
}
END_TEST

START_TEST(upload_ids) {
    char id[UPLOAD_ID_BYTES] = "untouched";
    op_init(&op, 0, 0);
    const char *bad = "<InitiateMultipartUploadResult><Key>k</Key></InitiateMultipartUploadResult>";
    ck_assert_int_eq(list_xml_upload_id(&op, bad, strlen(bad), id), ERR_CORRUPT);
    ck_assert_str_eq(id, "untouched");
    const char *good = XML "<InitiateMultipartUploadResult" NS
                           "><UploadId>2~a/b+c=</UploadId></InitiateMultipartUploadResult>";
    ck_assert_int_eq(list_xml_upload_id(&op, good, strlen(good), id), OK);
    ck_assert_str_eq(id, "2~a/b+c=");
}
END_TEST

START_TEST(completed_uploads) {
    struct completed_answer answer;
    const char *good = " \n" XML "<CompleteMultipartUploadResult" NS
                       "><ETag>&quot;abc-5&quot;</ETag></CompleteMultipartUploadResult>";
    list_xml_completed(good, strlen(good), &answer);
    ck_assert(answer.sure);
    ck_assert_str_eq(answer.etag, "abc-5");
    const char *failed = "<Error><Code>InternalError</Code></Error>";
    list_xml_completed(failed, strlen(failed), &answer);
    ck_assert(!answer.sure);
    const char *cut = "<CompleteMultipartUploadResult><ETag>abc</ETag>";
    list_xml_completed(cut, strlen(cut), &answer);
    ck_assert(!answer.sure && answer.etag[0] == '\0');
    list_xml_completed("  ", 2, &answer);
    ck_assert(!answer.sure);
}
END_TEST

START_TEST(bulk_deletes) {
    struct delete_answer answer;
    op_init(&op, 0, 0);
    const char *fine = "<DeleteResult/>";
    ck_assert_int_eq(list_xml_deleted(&op, fine, strlen(fine), &answer), OK);
    ck_assert_uint_eq(answer.failed, 0);
    delete_answer_fini(&answer);
    const char *mixed = "<DeleteResult" NS "><Error><Key>a</Key><Code>NoSuchKey</Code></Error>"
                        "<Error><Key>b</Key><Code>AccessDenied</Code></Error>"
                        "<Error><Code>InternalError</Code></Error></DeleteResult>";
    ck_assert_int_eq(list_xml_deleted(&op, mixed, strlen(mixed), &answer), OK);
    ck_assert_uint_eq(answer.failed, 2);
    ck_assert_str_eq(answer.failures[0].key, "b");
    ck_assert_str_eq(answer.failures[0].error.code, "AccessDenied");
    ck_assert_str_eq(answer.failures[1].key, "");
    ck_assert_str_eq(answer.failures[1].error.code, "InternalError");
    delete_answer_fini(&answer);
    const char *other = "<Error><Code>MalformedXML</Code></Error>";
    ck_assert_int_eq(list_xml_deleted(&op, other, strlen(other), &answer), ERR_CORRUPT);

    /* Never more failures than a request can have keys; an answer that breaks off leaves nothing behind. */
    struct buf flood;
    buf_init(&flood, 1 << 20);
    ck_assert_int_eq(buf_append_text(&flood, "<DeleteResult>"), OK);
    for (int i = 0; i <= LIST_MOST_KEYS; i++) {
        ck_assert_int_eq(buf_printf(&flood, "<Error><Key>%d</Key><Code>SlowDown</Code></Error>", i), OK);
    }
    ck_assert_int_eq(buf_append_text(&flood, "<Error><Key>cut</Key></DeleteResult>"), OK);
    ck_assert_int_eq(list_xml_deleted(&op, flood.data, flood.size, &answer), ERR_CORRUPT);
    buf_fini(&flood);
}
END_TEST

TCase *list_xml_case(void) {
    TCase *tcase = tcase_create("list_xml");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_page_with_a_namespace);
    tcase_add_test(tcase, a_page_with_prefixed_names);
    tcase_add_test(tcase, url_encoding_is_undone_where_said);
    tcase_add_test(tcase, an_empty_page);
    tcase_add_test(tcase, bad_pages_are_refused);
    tcase_add_test(tcase, sizes_are_bounded);
    tcase_add_test(tcase, error_documents);
    tcase_add_test(tcase, upload_ids);
    tcase_add_test(tcase, completed_uploads);
    tcase_add_test(tcase, bulk_deletes);
    return tcase;
}
