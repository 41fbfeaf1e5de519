/* body_run.c - see body_run.h. */
#include "pools/hdf5/body_run.h"

/* As much as a commit copies into the journal. */
#define RUN_MOST_BYTES ((size_t)256 << 10)

void body_run_init(struct body_run *run) {
    run->offset = 0;
    buf_init(&run->bytes, RUN_MOST_BYTES);
}

void body_run_fini(struct body_run *run) {
    buf_fini(&run->bytes);
}

enum err body_run_push(struct body_run *run, struct h5_file *file, struct op *op) {
    if (!run->bytes.size) {
        return OK;
    }
    enum err err = h5_file_check_length(file, op);
    if (!err) {
        err = h5_file_write_body(file, op, run->offset, run->bytes.data, run->bytes.size);
    }
    buf_clear(&run->bytes);
    return err;
}

/* Two free places in a row may not be one: the first before the end that the last commit saw, the second behind it. */
static bool continues(const struct body_run *run, const struct h5_file *file, uint64_t offset, size_t count) {
    size_t waiting = run->bytes.size;
    return waiting && offset == run->offset + waiting && count <= RUN_MOST_BYTES - waiting &&
           h5_file_is_free(file, run->offset, waiting + count);
}

enum err body_run_add(struct body_run *run, struct h5_file *file, struct op *op, uint64_t offset,
                      const void *bytes, size_t count) {
    enum err err = continues(run, file, offset, count) ? OK : body_run_push(run, file, op);
    if (err) {
        return err;
    }
    if (!run->bytes.size) {
        run->offset = offset;
    }
    return buf_append(&run->bytes, bytes, count) == OK ? OK : op_no_memory(op);
}
