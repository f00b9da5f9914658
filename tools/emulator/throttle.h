/* A token bucket a vault, set by the control API. Contract §9. */
#ifndef EM_THROTTLE_H
#define EM_THROTTLE_H

#include "call.h"

/* per_second 0: off. retry_after 0: no such header, unless the setting asks for one. */
void em_throttle_set(struct em_vault *vault, double per_second, int retry_after);
/* False after a 429. */
bool em_throttle_check(struct em_call *call);

#endif
