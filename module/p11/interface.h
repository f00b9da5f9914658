/* What the loader and the implementation behind it both show: PKCS#11 3.0 §5.4. */
#ifndef KV_P11_INTERFACE_H
#define KV_P11_INTERFACE_H

#include "mech/pkcs11.h"

/* The three symbols that a shared object of ours shows. */
#define KV_EXPORT __attribute__((visibility("default")))

#endif
