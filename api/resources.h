/* resources.h - the handlers behind the route table, one file per resource (res_*.c). See handler.h for how
 * they are called. */
#ifndef API_RESOURCES_H
#define API_RESOURCES_H

#include "api/handler.h"

/* res_service.c */
enum api_step res_service_peek(struct request *request, struct response *response);
enum api_step res_livez_peek(struct request *request, struct response *response);
enum api_step res_readyz_peek(struct request *request, struct response *response);

/* res_openapi.c */
enum api_step res_openapi_peek(struct request *request, struct response *response);

/* res_pools.c */
enum api_step res_pools_list(struct request *request, struct response *response);
enum api_step res_pools_register(struct request *request, struct response *response);
enum api_step res_pool_get(struct request *request, struct response *response);
enum api_step res_pool_unregister(struct request *request, struct response *response);

/* res_proxy_to.c */
enum api_step res_proxy_to_get(struct request *request, struct response *response);
enum api_step res_proxy_to_set(struct request *request, struct response *response);
enum api_step res_proxy_to_clear(struct request *request, struct response *response);

/* res_upkeep.c */
enum api_step res_compact_get(struct request *request, struct response *response);
enum api_step res_compact_post(struct request *request, struct response *response);
enum api_step res_scrub_get(struct request *request, struct response *response);
enum api_step res_scrub_post(struct request *request, struct response *response);

/* res_chain.c */
enum api_step res_chain_get(struct request *request, struct response *response);
enum api_step res_chain_replace(struct request *request, struct response *response);
enum api_step res_chain_apply(struct request *request, struct response *response);

/* res_entries.c */
enum api_step res_entries_list_peek(struct request *request, struct response *response);
enum api_step res_entries_list(struct request *request, struct response *response);
enum api_step res_entries_empty_peek(struct request *request, struct response *response);
enum api_step res_entries_empty(struct request *request, struct response *response);

/* res_entry.c */
enum api_step res_entry_get_peek(struct request *request, struct response *response);
enum api_step res_entry_get(struct request *request, struct response *response);
enum api_step res_entry_delete_peek(struct request *request, struct response *response);
enum api_step res_entry_delete(struct request *request, struct response *response);

/* res_entry_head.c */
enum api_step res_entry_head_peek(struct request *request, struct response *response);
enum api_step res_entry_head(struct request *request, struct response *response);

/* res_entry_put.c */
enum api_step res_entry_put_peek(struct request *request, struct response *response);
enum api_step res_entry_put(struct request *request, struct response *response);

#endif
