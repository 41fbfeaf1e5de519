/* list_xml.c - one visitor per answer over xml_walk. */
#include "pools/object_store/list_xml.h"

#include "pools/base/hex.h"
#include "pools/object_store/xml_walk.h"

#include <stdlib.h>

void list_page_fini(struct list_page *page) {
    for (size_t i = 0; i < page->count; i++) {
        free(page->keys[i]);
    }
    free(page->keys);
    *page = (struct list_page){0};
}

/* Leading white space is what servers send to keep a slow answer alive; expat wants the declaration first. */
static enum err walk(const char *bytes, size_t count, xml_element_fn *visit, void *context) {
    while (count > 0 && (*bytes == ' ' || *bytes == '\r' || *bytes == '\n' || *bytes == '\t')) {
        bytes++;
        count--;
    }
    return xml_walk(bytes, count, visit, context);
}

static enum err refuse(struct op *op, enum err err, const char *what) {
    return err == ERR_NO_MEMORY ? op_no_memory(op)
                                : op_fail(op, REASON_BAD_ANSWER, "the %s is not what S3 defines", what);
}

/* ---- listing ---- */

struct page_walk {
    struct list_page page;
    bool seen_root;
    bool url_encoded;
};

static enum err on_page(void *context, const char *path, const char *text) {
    struct page_walk *walked = context;
    struct list_page *page = &walked->page;
    if (strcmp(path, "ListBucketResult") == 0) {
        walked->seen_root = true;
    } else if (strcmp(path, "ListBucketResult/IsTruncated") == 0) {
        page->truncated = strcmp(text, "true") == 0;
    } else if (strcmp(path, "ListBucketResult/EncodingType") == 0) {
        walked->url_encoded = strcmp(text, "url") == 0;
    } else if (strcmp(path, "ListBucketResult/Contents/Key") == 0) {
        if (page->count == LIST_MOST_KEYS) {
            return ERR_INVALID;
        }
        page->keys[page->count] = strdup(text);
        if (!page->keys[page->count]) {
            return ERR_NO_MEMORY;
        }
        page->count++;
    }
    return OK;
}

/* In place. Form rules: '+' is a space (AWS writes so). What is no escape stays as it is. */
static void decode_key(char *key) {
    char *to = key;
    for (const char *from = key; *from != '\0'; from++) {
        int high = *from == '%' ? hex_digit(from[1]) : -1;
        int low = high >= 0 ? hex_digit(from[2]) : -1;
        if (low >= 0 && (high != 0 || low != 0)) {
            *to++ = (char)(high * 16 + low);
            from += 2;
        } else {
            *to++ = *from == '+' ? ' ' : *from;
        }
    }
    *to = '\0';
}

enum err list_xml_page(struct op *op, const char *bytes, size_t count, struct list_page *ret_page) {
    struct page_walk walked = {.page = {.keys = calloc(LIST_MOST_KEYS, sizeof(char *))}};
    if (!walked.page.keys) {
        return op_no_memory(op);
    }
    enum err err = walk(bytes, count, on_page, &walked);
    if (err != OK || !walked.seen_root) {
        list_page_fini(&walked.page);
        return refuse(op, err, "listing");
    }
    /* The server states the encoding before or after the keys: decode at the end. */
    for (size_t i = 0; walked.url_encoded && i < walked.page.count; i++) {
        decode_key(walked.page.keys[i]);
    }
    *ret_page = walked.page;
    return OK;
}

/* ---- errors ---- */

static void copy_word(char *to, size_t cap, const char *from) {
    size_t bytes = strspn(from, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-");
    if (bytes < cap && from[bytes] == '\0') {
        memcpy(to, from, bytes + 1);
    }
}

static enum err on_error(void *context, const char *path, const char *text) {
    struct error_answer *error = context;
    if (strcmp(path, "Error/Code") == 0) {
        copy_word(error->code, sizeof error->code, text);
    } else if (strcmp(path, "Error/Region") == 0) {
        copy_word(error->region, sizeof error->region, text);
    }
    return OK;
}

void list_xml_error(const char *bytes, size_t count, struct error_answer *ret_error) {
    *ret_error = (struct error_answer){.code = ""};
    if (walk(bytes, count, on_error, ret_error) != OK) {
        *ret_error = (struct error_answer){.code = ""};
    }
}

/* ---- multipart ---- */

static enum err on_upload_id(void *context, const char *path, const char *text) {
    char *id = context;
    if (strcmp(path, "InitiateMultipartUploadResult/UploadId") == 0) {
        size_t bytes = strlen(text);
        if (bytes >= UPLOAD_ID_BYTES) {
            return ERR_INVALID;
        }
        memcpy(id, text, bytes + 1);
    }
    return OK;
}

enum err list_xml_upload_id(struct op *op, const char *bytes, size_t count, char ret_id[UPLOAD_ID_BYTES]) {
    char id[UPLOAD_ID_BYTES] = "";
    enum err err = walk(bytes, count, on_upload_id, id);
    if (err != OK || id[0] == '\0') {
        return refuse(op, err, "answer to a new multipart upload");
    }
    memcpy(ret_id, id, sizeof id);
    return OK;
}

static enum err on_completed(void *context, const char *path, const char *text) {
    struct completed_answer *answer = context;
    if (strcmp(path, "CompleteMultipartUploadResult") == 0) {
        answer->sure = true;
    } else if (strcmp(path, "CompleteMultipartUploadResult/ETag") == 0) {
        size_t bytes = strlen(text);
        bool quoted = bytes >= 2 && text[0] == '"' && text[bytes - 1] == '"';
        text += quoted ? 1 : 0;
        bytes -= quoted ? 2 : 0;
        if (bytes < sizeof answer->etag && !memchr(text, '"', bytes)) {
            memcpy(answer->etag, text, bytes);
            answer->etag[bytes] = '\0';
        }
    }
    return OK;
}

void list_xml_completed(const char *bytes, size_t count, struct completed_answer *ret_answer) {
    *ret_answer = (struct completed_answer){.sure = false};
    if (walk(bytes, count, on_completed, ret_answer) != OK) {
        *ret_answer = (struct completed_answer){.sure = false};
    }
}

/* ---- bulk delete ---- */

void delete_answer_fini(struct delete_answer *answer) {
    for (size_t i = 0; i < answer->failed; i++) {
        free(answer->failures[i].key);
    }
    free(answer->failures);
    *answer = (struct delete_answer){.failed = 0};
}

struct delete_walk {
    struct delete_answer answer;
    struct delete_failure current; /* of the Error element under way */
    bool seen_root;
};

static enum err take_failure(struct delete_walk *walked) {
    struct delete_answer *answer = &walked->answer;
    struct delete_failure failure = walked->current;
    walked->current = (struct delete_failure){.key = NULL};
    if (strcmp(failure.error.code, "NoSuchKey") == 0) {
        free(failure.key);
        return OK;
    }
    if (!answer->failures) {
        answer->failures = calloc(LIST_MOST_KEYS, sizeof *answer->failures);
    }
    failure.key = failure.key ? failure.key : strdup("");
    if (!answer->failures || !failure.key || answer->failed == LIST_MOST_KEYS) {
        bool full = answer->failed == LIST_MOST_KEYS;
        free(failure.key);
        return full ? ERR_INVALID : ERR_NO_MEMORY;
    }
    answer->failures[answer->failed++] = failure;
    return OK;
}

static enum err on_deleted(void *context, const char *path, const char *text) {
    struct delete_walk *walked = context;
    if (strcmp(path, "DeleteResult") == 0) {
        walked->seen_root = true;
    } else if (strcmp(path, "DeleteResult/Error/Key") == 0) {
        free(walked->current.key);
        walked->current.key = strdup(text);
        return walked->current.key ? OK : ERR_NO_MEMORY;
    } else if (strcmp(path, "DeleteResult/Error/Code") == 0) {
        copy_word(walked->current.error.code, sizeof walked->current.error.code, text);
    } else if (strcmp(path, "DeleteResult/Error") == 0) {
        return take_failure(walked);
    }
    return OK;
}

enum err list_xml_deleted(struct op *op, const char *bytes, size_t count, struct delete_answer *ret_answer) {
    struct delete_walk walked = {.seen_root = false};
    enum err err = walk(bytes, count, on_deleted, &walked);
    free(walked.current.key);
    if (err != OK || !walked.seen_root) {
        delete_answer_fini(&walked.answer);
        return refuse(op, err, "answer to a bulk delete");
    }
    *ret_answer = walked.answer;
    return OK;
}
