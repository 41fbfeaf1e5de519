/* s3_list.c - listing and emptying: pages of ListObjectsV2, of which only entries count.
 *
 * A cursor (s3_cursor.h) names the last object seen. The next page is asked for with start-after that name. S3 lists in the byte order of names, so an object present throughout
 * appears exactly once, whatever comes and goes; nothing expires, nothing is kept between calls, and a cursor that is
 * not ours can be told. (The server's own continuation tokens can do none of this; a bad one is a 500 on some.)
 *
 * The encoding works byte by byte, so the encoding of an id's prefix is a prefix of the encoding of the id.
 */
#include "pools/s3/s3_internal.h"

#include "pools/base/clock.h"
#include "pools/base/percent.h"
#include "pools/object_store/encoding.h"
#include "pools/object_store/list_xml.h"
#include "pools/s3/s3_cursor.h"
#include "pools/s3/s3_errors.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGE_MOST_BYTES ((size_t)8 << 20)
#define EMPTY_PAGES_MOST 50 /* pages without an entry before a call returns with a cursor only */

struct scan {
    char under[S3_NAME_BYTES]; /* names begin with this: the pool's prefix and the encoded id prefix */
    struct s3_cursor at;
    bool ended;
};

static enum err list_page(struct s3_pool *s3, struct op *op, struct scan *scan, size_t most,
                          struct list_page *ret_page) {
    char max_keys[24];
    snprintf(max_keys, sizeof max_keys, "%zu", most);
    struct s3_call call = {.method = "GET", .collect_most_bytes = PAGE_MOST_BYTES, .must_collect = true};
    s3_call_query(&call, "list-type", "2");
    s3_call_query(&call, "encoding-type", "url");
    s3_call_query(&call, "max-keys", max_keys);
    if (scan->under[0] != '\0') {
        s3_call_query(&call, "prefix", scan->under);
    }
    if (scan->at.after[0] != '\0') {
        s3_call_query(&call, "start-after", scan->at.after);
    }
    AUTO(s3_answer_fini) struct s3_answer answer;
    s3_answer_init(&answer);
    enum err err = s3_call_send(s3, op, &call, &answer);
    if (err != OK) {
        return err;
    }
    struct list_page page;
    err = list_xml_page(op, answer.body.size > 0 ? answer.body.data : "", answer.body.size, &page);
    if (err != OK) {
        return err;
    }
    const char *last = page.count > 0 ? page.keys[page.count - 1] : NULL;
    bool moves = last && strlen(last) < sizeof scan->at.after && strcmp(last, scan->at.after) > 0;
    if (page.count > most || (page.count > 0 && !moves) || (page.count == 0 && page.truncated)) {
        list_page_fini(&page);
        return op_fail(op, REASON_BAD_ANSWER, "the store's listing does not move forward");
    }
    if (last) {
        memcpy(scan->at.after, last, strlen(last) + 1);
    }
    scan->ended = !page.truncated;
    *ret_page = page;
    return OK;
}

static void note_foreign(struct s3_pool *s3, const struct scan *scan) {
    if (scan->ended && strcmp(scan->under, s3->prefix) == 0) {
        atomic_store(&s3->foreign, scan->at.foreign);
        atomic_store(&s3->foreign_known, true);
    }
}

/* ---- listing ---- */

/* The entries of a page, added; others counted. */
static enum err take_page(struct s3_pool *s3, struct op *op, struct scan *scan, const struct list_page *page,
                          struct listing *listing) {
    for (size_t i = 0; i < page->count; i++) {
        char id[ID_MOST_BYTES + 1];
        size_t bytes = 0;
        if (!s3_key_to_id(s3->prefix, page->keys[i], id, &bytes)) {
            scan->at.foreign++;
            continue;
        }
        enum err err = listing_add(listing, op, id, bytes);
        if (err != OK) {
            return err;
        }
    }
    return OK;
}

enum err s3_list(struct pool *pool, struct op *op, const char *prefix, const char *cursor, unsigned limit,
                 struct listing *ret_listing) {
    struct s3_pool *s3 = s3_pool_checked(pool);
    struct scan scan = {.ended = false};
    struct listing listing = {.count = 0};
    struct id id_prefix = {.text = prefix, .bytes = strlen(prefix)};
    if (!s3_key_from_id(s3->prefix, &id_prefix, scan.under)) {
        *ret_listing = listing; /* no id can begin so */
        return OK;
    }
    enum err err = cursor ? s3_cursor_read(op, cursor, scan.under, &scan.at) : OK;
    for (int empty_pages = 0;
         err == OK && !scan.ended && listing.count < limit && empty_pages < EMPTY_PAGES_MOST;) {
        struct list_page page;
        size_t most = limit - listing.count;
        size_t before = listing.count;
        err = list_page(s3, op, &scan, most < LIST_MOST_KEYS ? most : LIST_MOST_KEYS, &page);
        if (err == OK) {
            err = take_page(s3, op, &scan, &page, &listing);
            list_page_fini(&page);
        }
        empty_pages = listing.count == before ? empty_pages + 1 : 0;
    }
    if (err == OK && !scan.ended) {
        err = s3_cursor_write(op, &scan.at, &listing.next_cursor);
    }
    if (err != OK) {
        listing_fini(&listing);
        return err;
    }
    note_foreign(s3, &scan);
    s3_sweep_one(s3);
    *ret_listing = listing;
    return OK;
}

/* ---- emptying ---- */

static enum err append_escaped(struct buf *xml, const char *name) {
    for (; *name != '\0'; name++) {
        enum err err;
        switch (*name) {
        case '&':
            err = buf_append_text(xml, "&amp;");
            break;
        case '<':
            err = buf_append_text(xml, "&lt;");
            break;
        case '>':
            err = buf_append_text(xml, "&gt;");
            break;
        default:
            err = buf_append(xml, name, 1);
            break;
        }
        if (err != OK) {
            return err;
        }
    }
    return OK;
}

/* One DeleteObjects request for the names. */
static enum err send_delete(struct s3_pool *s3, struct op *op, char *const *names, size_t count,
                            struct delete_answer *ret_answer) {
    AUTO(buf_fini) struct buf xml;
    buf_init(&xml, PAGE_MOST_BYTES);
    enum err err =
        buf_append_text(&xml, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Delete "
                              "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
    for (size_t i = 0; i < count && err == OK; i++) {
        err = buf_append_text(&xml, "<Object><Key>");
        err = err == OK ? append_escaped(&xml, names[i]) : err;
        err = err == OK ? buf_append_text(&xml, "</Key></Object>") : err;
    }
    err = err == OK ? buf_append_text(&xml, "</Delete>") : err;
    char md5[CONTENT_MD5_BYTES];
    if (err != OK || !content_md5(xml.data, xml.size, md5)) {
        return op_no_memory(op);
    }
    uint8_t sha256[SHA256_BYTES];
    char hash[SHA256_HEX_BYTES];
    digest_sha256(xml.data, xml.size, sha256);
    digest_hex(sha256, hash);
    struct http_body body = s3_call_body(&xml);
    struct s3_call call = {.method = "POST",
                           .body = &body,
                           .payload_hash = hash,
                           .collect_most_bytes = PAGE_MOST_BYTES,
                           .must_collect = true};
    s3_call_query(&call, "delete", "");
    s3_call_field(&call, "Content-Type", "application/xml");
    s3_call_field(&call, "Content-MD5", md5);
    AUTO(s3_answer_fini) struct s3_answer answer;
    s3_answer_init(&answer);
    err = s3_call_send(s3, op, &call, &answer);
    if (err != OK) {
        return err;
    }
    return list_xml_deleted(op, answer.body.size > 0 ? answer.body.data : "", answer.body.size, ret_answer);
}

/* Keeps the first refusal of an object: the others are still deleted, and the emptying ends with this one. */
static void keep_first(struct op *op, const struct delete_failure *failure, struct fault *first) {
    if (first->reason == REASON_NONE) {
        const struct s3_error_row *row = s3_errors_find(0, failure->error.code);
        op_record(op, row->reason, "not every object could be deleted: %s (%s)", row->sentence,
                  failure->error.code);
        *first = op->fault;
    }
}

/* Moves the names worth asking for again to the front and keeps the fault of the others. */
static size_t sort_failures(struct op *op, char **names, size_t count, const struct delete_answer *deleted,
                            struct fault *first, enum retry_cause *ret_cause) {
    size_t again = 0;
    *ret_cause = RETRY_NEVER;
    for (size_t i = 0; i < deleted->failed; i++) {
        const struct delete_failure *failure = &deleted->failures[i];
        enum retry_cause cause = s3_errors_find(0, failure->error.code)->cause;
        size_t at = again;
        while (at < count && strcmp(names[at], failure->key) != 0) {
            at++;
        }
        if (cause == RETRY_NEVER || at == count) {
            keep_first(op, failure, first);
            continue;
        }
        char *name = names[at];
        names[at] = names[again];
        names[again++] = name;
        *ret_cause = cause;
    }
    return again;
}

/* Deletes the names, asking once more for those that may go the second time. OK also when objects were refused: *first has
 * the first such fault then. *ret_removed counts those that are gone. */
static enum err delete_batch(struct s3_pool *s3, struct op *op, char **names, size_t count,
                             struct fault *first, uint64_t *ret_removed) {
    struct retry retry;
    retry_start(&retry, &retry_default_policy, clock_now_ns());
    for (bool last = false;; last = true) {
        AUTO(delete_answer_fini) struct delete_answer deleted = {.failed = 0};
        enum err err = send_delete(s3, op, names, count, &deleted);
        if (err != OK) {
            return err;
        }
        *ret_removed += count - (deleted.failed < count ? deleted.failed : count);
        enum retry_cause cause;
        size_t again = last ? 0 : sort_failures(op, names, count, &deleted, first, &cause);
        uint64_t wait_ns = 0;
        if (again == 0 ||
            !retry_again(&retry, cause, 0, retry_random(), clock_now_ns(), op->deadline_ns, &wait_ns)) {
            if (deleted.failed > 0) {
                keep_first(op, &deleted.failures[0], first);
            }
            return OK;
        }
        err = retry_wait(op, wait_ns, NULL);
        if (err != OK) {
            return err;
        }
        count = again;
    }
}

static enum err delete_each(struct s3_pool *s3, struct op *op, char *const *names, size_t count,
                            uint64_t *ret_removed) {
    for (size_t i = 0; i < count; i++) {
        struct s3_call call = {.method = "DELETE", .name = names[i]};
        enum err err = s3_call_send_only(s3, op, &call);
        if (err != OK && err != ERR_NOT_FOUND) {
            return err;
        }
        ++*ret_removed;
    }
    return OK;
}

enum err s3_empty(struct pool *pool, struct op *op, uint64_t *ret_removed) {
    struct s3_pool *s3 = s3_pool_checked(pool);
    struct scan scan = {.ended = false};
    memcpy(scan.under, s3->prefix, strlen(s3->prefix) + 1);
    *ret_removed = 0;
    bool one_by_one = false;
    struct fault first = {.reason = REASON_NONE};
    while (!scan.ended) {
        struct list_page page;
        enum err err = list_page(s3, op, &scan, LIST_MOST_KEYS, &page);
        if (err != OK) {
            return err;
        }
        /* Entries to the front; what is no entry is never deleted. */
        size_t entries = 0;
        for (size_t i = 0; i < page.count; i++) {
            char id[ID_MOST_BYTES + 1];
            size_t bytes = 0;
            if (s3_key_to_id(s3->prefix, page.keys[i], id, &bytes)) {
                char *foreign = page.keys[entries];
                page.keys[entries++] = page.keys[i];
                page.keys[i] = foreign;
            } else {
                scan.at.foreign++;
            }
        }
        if (entries > 0 && !one_by_one) {
            err = delete_batch(s3, op, page.keys, entries, &first, ret_removed);
            one_by_one = err == ERR_UNSUPPORTED; /* Google's and some older stores have no bulk delete */
        }
        if (entries > 0 && one_by_one) {
            err = delete_each(s3, op, page.keys, entries, ret_removed);
        }
        list_page_fini(&page);
        if (err != OK) {
            return err;
        }
    }
    note_foreign(s3, &scan);
    if (first.reason != REASON_NONE) {
        return op_adopt(op, &first);
    }
    s3_sweep_one(s3);
    return OK;
}
