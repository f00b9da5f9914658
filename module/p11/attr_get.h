/* Where the values of attributes come from and go to: the functions that the rows of attr_rules.c name. Any thread; no network. */
#ifndef KV_P11_ATTR_GET_H
#define KV_P11_ATTR_GET_H

#include "attr_rules.h"

#define KV_ATTR_GET(name) bool kv_attr_get_##name(const struct kv_object *object, struct kv_attr_value *ret)
#define KV_ATTR_PUT(name) enum kv_status kv_attr_put_##name(struct kv_object *object, struct kv_view value)

KV_ATTR_GET(class);
KV_ATTR_GET(key_type);
KV_ATTR_GET(label);
KV_ATTR_GET(id);
KV_ATTR_GET(unique_id);
KV_ATTR_GET(start_date);
KV_ATTR_GET(end_date);
KV_ATTR_GET(generated_by);
KV_ATTR_GET(mechanisms);
KV_ATTR_GET(modulus);
KV_ATTR_GET(modulus_bits);
KV_ATTR_GET(exponent);
KV_ATTR_GET(ec_params);
KV_ATTR_GET(ec_point);
KV_ATTR_GET(public_key);
KV_ATTR_GET(value);
KV_ATTR_GET(subject);
KV_ATTR_GET(check_value);
KV_ATTR_GET(private_exponent);
KV_ATTR_GET(prime_1);
KV_ATTR_GET(prime_2);
KV_ATTR_GET(exponent_1);
KV_ATTR_GET(exponent_2);
KV_ATTR_GET(coefficient);
KV_ATTR_GET(scalar);
KV_ATTR_GET(wrap_template);
KV_ATTR_GET(unwrap_template);
KV_ATTR_GET(derive_template);
KV_ATTR_GET(value_len);
KV_ATTR_GET(fixed);
KV_ATTR_GET(kid);
KV_ATTR_GET(version);
KV_ATTR_GET(state);
KV_ATTR_GET(created);
KV_ATTR_GET(spki_sha256);
KV_ATTR_GET(hsm_platform);
KV_ATTR_GET(hardware);
KV_ATTR_GET(nothing); /* there and empty */
KV_ATTR_GET(certificate_type);
KV_ATTR_GET(category);
KV_ATTR_GET(der);
KV_ATTR_GET(issuer);
KV_ATTR_GET(serial);
KV_ATTR_GET(thumbprint);
KV_ATTR_GET(name_hash);
KV_ATTR_GET(zero);

KV_ATTR_PUT(class);
KV_ATTR_PUT(key_type);
KV_ATTR_PUT(label);
KV_ATTR_PUT(id);
KV_ATTR_PUT(start_date);
KV_ATTR_PUT(end_date);
KV_ATTR_PUT(value);
KV_ATTR_PUT(value_len);
KV_ATTR_PUT(subject);
KV_ATTR_PUT(check_value);
KV_ATTR_PUT(mechanisms);
KV_ATTR_PUT(modulus);
KV_ATTR_PUT(modulus_bits);
KV_ATTR_PUT(exponent);
KV_ATTR_PUT(private_exponent);
KV_ATTR_PUT(prime_1);
KV_ATTR_PUT(prime_2);
KV_ATTR_PUT(exponent_1);
KV_ATTR_PUT(exponent_2);
KV_ATTR_PUT(coefficient);
KV_ATTR_PUT(scalar);
KV_ATTR_PUT(ec_params);
KV_ATTR_PUT(ec_point);
KV_ATTR_PUT(public_key);
KV_ATTR_PUT(wrap_template);
KV_ATTR_PUT(unwrap_template);
KV_ATTR_PUT(derive_template);

#endif
