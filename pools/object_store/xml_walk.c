/* xml_walk.c - expat, bounded. State lives on the caller's stack; any thread. */
#include "pools/object_store/xml_walk.h"

#include "pools/base/buf.h"

#include <expat.h>

#include <limits.h>
#include <stdbool.h>

struct walk {
    XML_Parser parser;
    xml_element_fn *visit;
    void *context;
    enum err err;
    unsigned depth;
    size_t path_bytes[XML_MOST_DEPTH]; /* of the parent's path at each depth */
    size_t path_size;
    char path[XML_MOST_PATH_BYTES];
    bool has_children;
    struct buf text;
};

static void fail(struct walk *walk, enum err err) {
    if (walk->err == OK) {
        walk->err = err;
        XML_StopParser(walk->parser, XML_FALSE);
    }
}

static void XMLCALL on_start(void *context, const XML_Char *name, const XML_Char **attributes) {
    (void)attributes;
    struct walk *walk = context;
    if (walk->err != OK) {
        return;
    }
    const char *colon = strrchr(name, ':');
    const char *local = colon ? colon + 1 : name;
    size_t bytes = strlen(local);
    size_t slash = walk->depth > 0 ? 1 : 0;
    if (walk->depth == XML_MOST_DEPTH || walk->path_size + slash + bytes >= sizeof walk->path) {
        fail(walk, ERR_INVALID);
        return;
    }
    walk->path_bytes[walk->depth++] = walk->path_size;
    if (slash != 0) {
        walk->path[walk->path_size] = '/';
    }
    memcpy(walk->path + walk->path_size + slash, local, bytes + 1);
    walk->path_size += slash + bytes;
    walk->has_children = false;
    buf_clear(&walk->text);
}

static void XMLCALL on_end(void *context, const XML_Char *name) {
    (void)name;
    struct walk *walk = context;
    if (walk->err != OK) {
        return;
    }
    const char *text = walk->has_children || walk->text.size == 0 ? "" : walk->text.data;
    enum err err = walk->visit(walk->context, walk->path, text);
    if (err != OK) {
        fail(walk, err);
        return;
    }
    walk->path_size = walk->path_bytes[--walk->depth];
    walk->path[walk->path_size] = '\0';
    walk->has_children = true;
    buf_clear(&walk->text);
}

static void XMLCALL on_text(void *context, const XML_Char *text, int count) {
    struct walk *walk = context;
    if (walk->err != OK) {
        return;
    }
    enum err err = buf_append(&walk->text, text, (size_t)count);
    if (err != OK) {
        fail(walk, err == ERR_NO_MEMORY ? err : ERR_INVALID);
    }
}

static void XMLCALL on_doctype(void *context, const XML_Char *name, const XML_Char *system_id,
                               const XML_Char *public_id, int has_internal_subset) {
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)has_internal_subset;
    fail(context, ERR_INVALID);
}

enum err xml_walk(const char *bytes, size_t count, xml_element_fn *visit, void *context) {
    if (count > INT_MAX) {
        return ERR_INVALID;
    }
    struct walk walk = {.visit = visit, .context = context};
    walk.parser = XML_ParserCreate("UTF-8");
    if (!walk.parser) {
        return ERR_NO_MEMORY;
    }
    buf_init(&walk.text, XML_MOST_TEXT_BYTES);
    XML_SetUserData(walk.parser, &walk);
    XML_SetElementHandler(walk.parser, on_start, on_end);
    XML_SetCharacterDataHandler(walk.parser, on_text);
    XML_SetStartDoctypeDeclHandler(walk.parser, on_doctype);
    enum XML_Status status = XML_Parse(walk.parser, bytes, (int)count, XML_TRUE);
    enum err err = walk.err;
    if (err == OK && status != XML_STATUS_OK) {
        err = XML_GetErrorCode(walk.parser) == XML_ERROR_NO_MEMORY ? ERR_NO_MEMORY : ERR_INVALID;
    }
    buf_fini(&walk.text);
    XML_ParserFree(walk.parser);
    return err;
}
