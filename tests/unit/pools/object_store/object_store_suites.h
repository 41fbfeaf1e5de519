/* object_store_suites.h - the cases of this program. */
#ifndef TESTS_UNIT_POOLS_OBJECT_STORE_OBJECT_STORE_SUITES_H
#define TESTS_UNIT_POOLS_OBJECT_STORE_OBJECT_STORE_SUITES_H

#include <check.h>

TCase *encoding_case(void);
TCase *http_exchange_case(void);
TCase *http_header_case(void);
TCase *list_xml_case(void);
TCase *retry_case(void);
TCase *sigv4_case(void);

#endif
