/* What a vault takes in a sliding window of ten seconds, weighted by key and summed over the vault. Contract §9.1. */
#ifndef EM_THROTTLE_H
#define EM_THROTTLE_H

#include "call.h"

/* quota: transactions with a software RSA key of 2048 bits; other keys and the making of keys follow it as the contract has them. 0: off.
 * retry_after 0: no such header, unless the setting asks for one. */
void em_throttle_set(struct em_vault *vault, int quota, int retry_after);
/* False after a 429. */
bool em_throttle_check(struct em_call *call);

#endif
