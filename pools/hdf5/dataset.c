/* dataset.c - see dataset.h. */
#include "pools/hdf5/dataset.h"

#include "pools/base/percent.h"
#include "pools/hdf5/attributes.h"
#include "pools/hdf5/object_header.h"

#include <stdio.h>

#define TAIL_BYTES 4096u
/* How the file writes a variable-length string: its length, then where it lies. */
#define VLEN_LENGTH_BYTES 4u

bool dataset_is_text(const void *bytes, size_t count) {
    return count > 0 && count <= DATASET_TEXT_MOST_BYTES && !memchr(bytes, '\0', count) &&
           utf8_valid(bytes, count);
}

static bool address_of(hid_t object, uint64_t *ret_address) {
    H5O_info_t info;
    if (H5Oget_info2(object, &info, H5O_INFO_BASIC) < 0) {
        return false;
    }
    *ret_address = info.addr;
    return true;
}

enum err dataset_create(struct h5_file *file, struct op *op, enum version_kind kind, uint64_t length,
                        hid_t *ret_dataset, struct placement *ret_placement) {
    const struct h5_forms *forms = &file->forms;
    bool text = kind == VERSION_TEXT;
    hid_t type = text ? h5_forms_text(forms, (size_t)length) : H5T_STD_U8LE;
    hid_t space = text ? forms->scalar : h5_forms_line(forms, length);
    if (type < 0 || space < 0) {
        return h5_fail(op, "describe an entry");
    }
    AUTO(h5_close) hid_t dataset = H5Dcreate_anon(file->id, type, space, forms->body, H5P_DEFAULT);
    if (dataset < 0) {
        return h5_fail(op, "make an entry");
    }
    struct placement placement = {.kind = kind, .length = length};
    haddr_t offset = length ? H5Dget_offset(dataset) : 0;
    if (offset == HADDR_UNDEF || !address_of(dataset, &placement.address)) {
        return h5_fail(op, "place an entry");
    }
    placement.offset = offset;
    *ret_placement = placement;
    *ret_dataset = h5_steal(&dataset);
    return OK;
}

enum err dataset_open(struct h5_file *file, struct op *op, uint64_t address, hid_t *ret_dataset) {
    hid_t dataset = H5Oopen_by_addr(file->id, address);
    if (dataset < 0) {
        return h5_fail(op, "open an entry");
    }
    *ret_dataset = dataset;
    return OK;
}

/* Whether elements refer to something outside themselves: then their bytes in the file mean nothing. */
static bool has_pointers(hid_t type) {
    H5T_class_t class = H5Tget_class(type);
    if (class == H5T_VLEN || class == H5T_REFERENCE || class == H5T_NO_CLASS) {
        return true;
    }
    if (class == H5T_STRING) {
        return H5Tis_variable_str(type) != 0;
    }
    if (class == H5T_ARRAY) {
        AUTO(h5_close) hid_t element = H5Tget_super(type);
        return element < 0 || has_pointers(element);
    }
    if (class == H5T_COMPOUND) {
        int members = H5Tget_nmembers(type);
        for (int i = 0; i < members; i++) {
            AUTO(h5_close) hid_t member = H5Tget_member_type(type, (unsigned)i);
            if (member < 0 || has_pointers(member)) {
                return true;
            }
        }
    }
    return false;
}

static enum err read_vlen(struct op *op, hid_t dataset, hid_t type, struct blob **ret_body) {
    AUTO(h5_close) hid_t space = H5Dget_space(dataset);
    AUTO(h5_close) hid_t memory_type = H5Tcopy(H5T_C_S1);
    char *text = NULL;
    if (space < 0 || memory_type < 0 || H5Tset_size(memory_type, H5T_VARIABLE) < 0 ||
        H5Tset_cset(memory_type, H5Tget_cset(type)) < 0 ||
        H5Dread(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &text) < 0) {
        return h5_fail(op, "read an entry");
    }
    AUTO(blob_unref) struct blob *body = text ? blob_copy(text, strlen(text)) : blob_new(0);
    if (H5Dvlen_reclaim(memory_type, space, H5P_DEFAULT, &text) < 0) {
        h5_forget();
    }
    if (!body) {
        return op_no_memory(op);
    }
    *ret_body = STEAL(body);
    return OK;
}

/* The length a variable-length string has: from its reference in the file, or by reading it when that is not in one piece. */
static enum err vlen_length(struct h5_file *file, struct op *op, hid_t dataset, hid_t type, haddr_t offset,
                            uint64_t *ret_length) {
    if (offset == HADDR_UNDEF) {
        AUTO(blob_unref) struct blob *body = NULL;
        enum err err = read_vlen(op, dataset, type, &body);
        if (body) {
            *ret_length = body->size;
        }
        return err;
    }
    uint8_t bytes[VLEN_LENGTH_BYTES];
    enum err err = h5_file_pread(file, op, offset, bytes, sizeof bytes);
    if (!err) {
        *ret_length =
            bytes[0] | (uint64_t)bytes[1] << 8 | (uint64_t)bytes[2] << 16 | (uint64_t)bytes[3] << 24;
    }
    return err;
}

/* A string of somebody else is shorter than its type: the padding is no part of it. */
static enum err trim(struct h5_file *file, struct op *op, char padding, struct placement *placement) {
    while (placement->length) {
        char tail[TAIL_BYTES];
        size_t count = placement->length < sizeof tail ? (size_t)placement->length : sizeof tail;
        enum err err = h5_file_pread(file, op, placement->offset + placement->length - count, tail, count);
        if (err) {
            return err;
        }
        size_t kept = count;
        while (kept && tail[kept - 1] == padding) {
            kept--;
        }
        placement->length -= count - kept;
        if (kept) {
            break;
        }
    }
    return OK;
}

/* Kind, offset and length; *ret_usable false when it cannot be an entry. */
static enum err place(struct h5_file *file, struct op *op, hid_t dataset, hid_t type,
                      struct placement *placement, bool *ret_usable) {
    AUTO(h5_close) hid_t space = H5Dget_space(dataset);
    if (space < 0) {
        return h5_fail(op, "look at an entry");
    }
    hssize_t points = H5Sget_simple_extent_npoints(space);
    bool single = points == 1 && H5Sget_simple_extent_ndims(space) == 0;
    bool string = H5Tget_class(type) == H5T_STRING;
    size_t element_bytes = H5Tget_size(type);
    haddr_t offset = H5Dget_offset(dataset); /* undefined unless it lies in this file in one piece */
    h5_forget();
    *ret_usable = true;
    if (string && single && H5Tis_variable_str(type) > 0) {
        placement->kind = VERSION_LIBRARY_TEXT;
        return vlen_length(file, op, dataset, type, offset, &placement->length);
    }
    if (points < 0 || element_bytes == 0 || has_pointers(type) ||
        (uint64_t)points > UINT64_MAX / 2 / element_bytes) {
        *ret_usable = false;
        return OK;
    }
    placement->length = (uint64_t)points * element_bytes;
    placement->kind = string && single ? VERSION_TEXT : VERSION_BYTES;
    if (placement->length && offset == HADDR_UNDEF) {
        placement->kind = string && single ? VERSION_LIBRARY_TEXT : VERSION_LIBRARY_BYTES;
    } else {
        placement->offset = placement->length ? offset : 0;
    }
    return OK;
}

/* What is left once place and attributes are known: how long the text really is, and a validator where there is no digest. */
static enum err complete(struct h5_file *file, struct op *op, char padding, struct description *description) {
    struct placement *placement = &description->placement;
    struct meta *meta = &description->meta;
    enum err err = OK;
    if (placement->kind == VERSION_TEXT && (!meta->has_sha256 || !file->alone)) {
        err = trim(file, op, padding, placement);
    }
    if (!err && !meta->has_sha256 && !meta->validator[0]) {
        snprintf(meta->validator, sizeof meta->validator, "hdf5-%llx-%llx-%llx",
                 (unsigned long long)placement->address, (unsigned long long)placement->length,
                 (unsigned long long)file->opened_mtime_ns);
    }
    description->is_entry = true;
    return err;
}

static enum err describe(struct h5_file *file, struct op *op, hid_t dataset,
                         struct description *description) {
    AUTO(h5_close) hid_t type = H5Dget_type(dataset);
    bool usable = false;
    if (type < 0) {
        return h5_fail(op, "look at an entry");
    }
    enum err err = place(file, op, dataset, type, &description->placement, &usable);
    if (err || !usable) {
        return err;
    }
    struct meta *meta = &description->meta;
    snprintf(meta->content_type, sizeof meta->content_type, "%s",
             version_default_type(description->placement.kind));
    err = attributes_read(dataset, op, meta);
    bool text = description->placement.kind == VERSION_TEXT;
    char padding = text && H5Tget_strpad(type) == H5T_STR_SPACEPAD ? ' ' : '\0';
    return err ? err : complete(file, op, padding, description);
}

enum err dataset_describe(struct h5_file *file, struct op *op, uint64_t address,
                          struct description *ret_description) {
    AUTO(h5_close) hid_t object = H5I_INVALID_HID;
    enum err err = dataset_open(file, op, address, &object);
    if (err) {
        return err;
    }
    *ret_description = (struct description){.placement.address = address};
    meta_init(&ret_description->meta);
    if (H5Iget_type(object) == H5I_DATASET) {
        err = describe(file, op, object, ret_description);
    }
    if (err) {
        description_fini(ret_description);
    }
    return err;
}

struct view {
    const struct h5_file *file;
    struct window *window;
};

/* A window is filled only for what lies a little ahead of it: headers in no order would pay for bytes that nobody looks at. */
static size_t read_metadata(void *context, uint64_t offset, void *ret_bytes, size_t count) {
    const struct view *view = context;
    struct window *window = view->window;
    if (!window || offset < window->from || offset - window->from > 2 * WINDOW_BYTES) {
        if (window) {
            window->from = offset;
            window->count = 0;
        }
        return h5_file_pread_metadata(view->file, offset, ret_bytes, count);
    }
    size_t at = (size_t)(offset - window->from);
    if (at > window->count || window->count - at < count) {
        window->count = h5_file_pread_metadata(view->file, offset, window->bytes, WINDOW_BYTES);
        window->from = offset;
        at = 0;
    }
    size_t got = window->count - at < count ? window->count - at : count;
    memcpy(ret_bytes, window->bytes + at, got);
    return got;
}

bool dataset_describe_quickly(struct h5_file *file, struct window *window, uint64_t address,
                              struct description *ret_description) {
    struct object_header header;
    struct view view = {.file = file, .window = window};
    if (!file->plain || !object_header_read(read_metadata, &view, address, &header)) {
        return false;
    }
    struct op op;
    op_init(&op, 0, 0);
    ret_description->placement = header.placement;
    ret_description->meta = header.meta;
    bool done = complete(file, &op, header.padding, ret_description) == OK;
    if (!done) {
        description_fini(ret_description);
    }
    return done;
}

struct version *dataset_version(struct h5_file *file, const struct description *description) {
    return version_new(file, &description->placement, &description->meta);
}

static enum err read_by_library(const struct version *version, struct op *op, struct blob **ret_body) {
    AUTO(h5_close) hid_t dataset = H5I_INVALID_HID;
    enum err err = dataset_open(version->file, op, version->address, &dataset);
    if (err) {
        return err;
    }
    AUTO(h5_close) hid_t type = H5Dget_type(dataset);
    if (type < 0) {
        return h5_fail(op, "look at an entry");
    }
    if (version->kind == VERSION_LIBRARY_TEXT && H5Tis_variable_str(type) > 0) {
        return read_vlen(op, dataset, type, ret_body);
    }
    AUTO(blob_unref) struct blob *body = blob_new((size_t)version->length);
    if (!body) {
        return op_no_memory(op);
    }
    if (H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, body->data) < 0) {
        return h5_fail(op, "read an entry");
    }
    *ret_body = STEAL(body);
    return OK;
}

enum err dataset_read(const struct version *version, struct op *op, struct blob **ret_body) {
    if (version->length > DATASET_LIBRARY_MOST_BYTES) {
        return op_fail(op, REASON_UNSUPPORTED,
                       "the entry is not stored in one piece and is larger than %llu bytes: repack the file",
                       (unsigned long long)DATASET_LIBRARY_MOST_BYTES);
    }
    h5_enter();
    mutex_lock(&version->file->reopening);
    enum err err = read_by_library(version, op, ret_body);
    mutex_unlock(&version->file->reopening);
    return err;
}
