/* s3_suites.h - the cases of this folder's programs. */
#ifndef TESTS_UNIT_POOLS_S3_S3_SUITES_H
#define TESTS_UNIT_POOLS_S3_S3_SUITES_H

#include <check.h>

TCase *s3_key_case(void);
TCase *s3_errors_case(void);
TCase *s3_options_case(void);
TCase *s3_calls_case(void);
TCase *s3_writes_case(void);
TCase *s3_multipart_case(void);
TCase *s3_list_case(void);

#endif
