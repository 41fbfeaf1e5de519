/* memory_reader.c - reads an entry that is in memory. The reader's reference keeps the bytes, whatever happens to the
 * id meanwhile: a reader sees one entry from its first byte to its last.
 */
#include "pools/memory/memory_instance.h"

#include <stdlib.h>
#include <string.h>

struct memory_reader {
    struct reader reader;
    struct entry *entry;
    size_t at;
    size_t end;
};

static enum err memory_reader_read(struct reader *reader, struct op *op, void *ret_bytes, size_t cap,
                                   size_t *ret_count) {
    struct memory_reader *self = CONTAINER_OF(reader, struct memory_reader, reader);
    (void)op;
    size_t left = self->end - self->at;
    size_t count = left < cap ? left : cap;
    memcpy(ret_bytes, self->entry->body->data + self->at, count);
    self->at += count;
    *ret_count = count;
    return OK;
}

static void memory_reader_close(struct reader *reader) {
    struct memory_reader *self = CONTAINER_OF(reader, struct memory_reader, reader);
    meta_fini(&reader->meta);
    entry_unref(self->entry);
    free(self);
}

static const struct reader_ops reader_ops = {.read = memory_reader_read, .close = memory_reader_close};

enum err memory_reader_open(struct op *op, struct entry *take_entry, const struct read_options *options,
                            struct reader **ret_reader) {
    size_t size = take_entry->body->size;
    if (options->offset > 0 && options->offset >= size) {
        return op_fail(op, REASON_RANGE, "the range begins at or behind the end of the entry");
    }
    struct memory_reader *self = calloc(1, sizeof *self);
    if (!self) {
        return op_no_memory(op);
    }
    self->reader.ops = &reader_ops;
    meta_copy(&self->reader.meta, &take_entry->meta);
    self->entry = take_entry;
    self->at = (size_t)options->offset;
    self->end = options->length < size - self->at ? self->at + (size_t)options->length : size;
    *ret_reader = &self->reader;
    return OK;
}
