/* RSA keys in a seventh of the time that OpenSSL takes for them, which is what most waited for who made a key here: OpenSSL hides from a neighbour how it
 * finds its primes, and nobody spies on an emulator. What a small prime divides is sieved out; the first of the others with 2^(n-1) = 1 mod n is taken, and
 * of random numbers of this size fewer than one in 2^100 have that and are not prime. */
#include <openssl/core_names.h>
#include "material.h"
#include "rsa.h"

enum { SMALL = 2048, STEPS = 1 << 16 };

struct sieve {
    unsigned short primes[SMALL],
        rests[SMALL]; /* the odd ones from 3 on; what remains of the number where the search begins */
};

static void fill(struct sieve *sieve)
{
    size_t count = 0;
    for (int number = 3; count < SMALL; number += 2) {
        size_t i = 0;
        while (i < count && sieve->primes[i] * sieve->primes[i] <= number && number % sieve->primes[i])
            i++;
        if (i == count || sieve->primes[i] * sieve->primes[i] > number)
            sieve->primes[count++] = (unsigned short)number;
    }
}

static bool passes(const struct sieve *sieve, unsigned step)
{
    for (size_t i = 0; i < SMALL; i++)
        if ((sieve->rests[i] + step) % sieve->primes[i] == 0)
            return false;
    return true;
}

static bool is_prime(const BIGNUM *number, BN_CTX *ctx)
{
    EM_AUTO(BIGNUM) two = BN_new();
    EM_AUTO(BIGNUM) exponent = BN_dup(number);
    EM_AUTO(BIGNUM) power = BN_new();
    return two && exponent && power && BN_set_word(two, 2) && BN_sub_word(exponent, 1) &&
           BN_mod_exp(power, two, exponent, number, ctx) && BN_is_one(power);
}

/* Is the public exponent one to a number whose order is that of this prime? */
static bool fits(const BIGNUM *prime, BN_ULONG exponent)
{
    BN_ULONG a = exponent, b = (BN_mod_word(prime, exponent) + exponent - 1) % exponent;
    while (b) {
        BN_ULONG rest = a % b;
        a = b;
        b = rest;
    }
    return a == 1;
}

/* From a random number of that length on upwards; its two highest bits are set, so that a product of two has the whole length. NULL: none there, or no memory. */
static BIGNUM *prime_near(struct sieve *sieve, int bits, BN_ULONG exponent, BN_CTX *ctx)
{
    EM_AUTO(BIGNUM) start = BN_new();
    if (!start || !BN_rand(start, bits, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ODD))
        return NULL;
    for (size_t i = 0; i < SMALL; i++)
        sieve->rests[i] = (unsigned short)BN_mod_word(start, sieve->primes[i]);
    for (unsigned step = 0; step < STEPS; step += 2) {
        if (!passes(sieve, step))
            continue;
        BIGNUM *number = BN_dup(start);
        if (number && BN_add_word(number, step) && BN_num_bits(number) == bits && is_prime(number, ctx) &&
            fits(number, exponent))
            return number;
        BN_clear_free(number);
    }
    return NULL;
}

static BIGNUM *make_prime(int bits, BN_ULONG exponent, BN_CTX *ctx)
{
    struct sieve sieve;
    BIGNUM *prime = NULL;
    fill(&sieve);
    for (int i = 0; i < 64 && !prime; i++)
        prime = prime_near(&sieve, bits, exponent, ctx);
    return prime;
}

enum { N, E, D, P, Q, DP, DQ, QI, NUMBERS };

static const char *const names[NUMBERS] = {
    OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
    OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
    OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
    OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

/* The others from e, p and q: d is the inverse of e modulo the least common multiple of p - 1 and q - 1. */
static bool derive(BIGNUM *number[NUMBERS], BN_CTX *ctx)
{
    EM_AUTO(BIGNUM) p1 = BN_dup(number[P]);
    EM_AUTO(BIGNUM) q1 = BN_dup(number[Q]);
    EM_AUTO(BIGNUM) common = BN_new();
    EM_AUTO(BIGNUM) order = BN_new();
    return p1 && q1 && common && order && BN_sub_word(p1, 1) && BN_sub_word(q1, 1) &&
           BN_gcd(common, p1, q1, ctx) && BN_mul(order, p1, q1, ctx) &&
           BN_div(order, NULL, order, common, ctx) && BN_mul(number[N], number[P], number[Q], ctx) &&
           BN_mod_inverse(number[D], number[E], order, ctx) && BN_mod(number[DP], number[D], p1, ctx) &&
           BN_mod(number[DQ], number[D], q1, ctx) && BN_mod_inverse(number[QI], number[Q], number[P], ctx);
}

static EVP_PKEY *assemble(BIGNUM *number[NUMBERS])
{
    EM_AUTO(OSSL_PARAM_BLD) bld = OSSL_PARAM_BLD_new();
    bool good = bld;
    for (size_t i = 0; good && i < NUMBERS; i++)
        good = OSSL_PARAM_BLD_push_BN(bld, names[i], number[i]);
    return good ? em_pkey_from("RSA", bld) : NULL;
}

static void release(BN_CTX **ctx)
{
    BN_CTX_free(*ctx);
}

EVP_PKEY *em_rsa_generate(int bits, long exponent)
{
    __attribute__((cleanup(release))) BN_CTX *ctx = BN_CTX_new();
    BIGNUM *number[NUMBERS] = { NULL };
    bool good = ctx;
    for (size_t i = 0; good && i < NUMBERS; i++) {
        number[i] = i == P || i == Q ? make_prime(bits / 2, (BN_ULONG)exponent, ctx) : BN_new();
        good = number[i];
    }
    good = good && BN_set_word(number[E], (BN_ULONG)exponent) && BN_cmp(number[P], number[Q]) &&
           derive(number, ctx);
    EVP_PKEY *key = good ? assemble(number) : NULL;
    for (size_t i = 0; i < NUMBERS; i++)
        BN_clear_free(number[i]);
    return key;
}
