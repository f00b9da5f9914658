#include "rsa_keys.h"

#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/pem.h>

/* clang-format off */
static const struct {
    unsigned bits, number;
    const char *pem;
} keys[] = {
    { 2048, 0,
      "-----BEGIN PRIVATE KEY-----\n"
      "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCaArnAEif4AxKb\n"
      "I6ZhRoIlMj4qDui9qxzjvdNhWTaZ6p24UoFaE4dZwaikt79Hx6lrKCFypmPgrvj+\n"
      "vAYphWBb4kFRcLcqhyVosM5twjnD5Bkdos0weOOGkd0v5yHmvwdokL6tjhVfqPtj\n"
      "Bd4Tlp5XExak0jhU8bjKK+1ZBXotggFM39j9lBjH2YcUy4OzC+MCgBNGlXDU1Zho\n"
      "ZFP4uJReWXzBY5lOhX1/ZtmyzjKawAbM/RKgnKKUQxfz6btQbPgT4ja9Pq4mzdqT\n"
      "QShBqRTMNNHilMWLHFqvvl+cLYAZ1pOj6WwSZJfGThGinsb25APqH0ypq50wYyMz\n"
      "4HHe0P5BAgMBAAECggEAA7t7rW4zNkU6yvQ0+MgI6OZcD9BfLxOJxnIoAIS1OEsx\n"
      "idFEDb8J6XCySdWjJtXtouls0Ba8tmn/IktDufdfw7JKw3LAGaF/VFdulUXe+QKa\n"
      "4jc7EkjnuK/pxJqtHWa1QwE5AcM+/Nu/ReHTRTXB/hm6E4H9t/9Iq2ufm6fwk1A4\n"
      "3yEk3Di3vqDvuQUjGzp9TGOimaOCXBxHBGXLuixwjDmfWMCql+fpKYY0EBtmtnt1\n"
      "1qfXXMGcHmKmRieZTyucwilKWFQFDxz3degKlZZyGjcyA+h8tKDdO0uE4lsiEzvk\n"
      "9g1QDsZ9eRZgtSFJQRcHDmBrAmHhsRmODtrHyu9H8QKBgQDNbJiJPgRJa4TZHJjV\n"
      "Pxy+i/Gxd5GGWfvP4NPsMs3U9iBHg3TdBhMP6z6hkZnVNHncK6fuesb0w9bcfVwq\n"
      "FMvWkXJLj0mbZP0NbVPigKjyrVmSFPmjbeP4I9/qpMXWw2WooSVIS6ssy8mDrbOn\n"
      "rlETbSppa9G2WZ1e4c6EF50kCQKBgQC/7ad/4h+CvhmMkjtIztOJD7D/e5XJlEFd\n"
      "EojZkuAdOtKkrieT2sLEYvo6QXJzGPVm7zxliEg4WjENWxd3PSxdYq0WPJtFltDU\n"
      "bABLLE3AvVUlwVsLXl4VjjS97BQ4P5kkZp2ZYsheMTkxozMHXiCOV7ox5CE2qw1O\n"
      "lynM8UzGeQKBgDrViXJ1MqEcjDXqfNNGeiMQza44QpOqHfbRu6CAhHcj7ubMfaH3\n"
      "5Wm/xHZdzyNDHkuyrSweOfFMTbNkrArZXfAcRBHj/f7lk5xO3aGXm8u1Xlv6ae0m\n"
      "wg4FqFH50zfJSspbLORh16rCyvpNu5Cg2lOoBmefG7cQP4Q3RACNCtKRAoGAFtM6\n"
      "oljQCop1G2SgrE38lkZJdHjMHYcGJv13TPjMsm02c+NKTakslJJ408jIxatoM++r\n"
      "rR+CB0Gip8X3inS5+/kqQITAqov/FeQqPMZuEMfzgmP2Yem9Iq8g0p1q4i2eFtgl\n"
      "UgKPdbRA6whPn0awdH02ZYyN7qR1Fq2fiQIBcXECgYBGDk6He5TYQu6sTtIg5ca/\n"
      "7PGaODRGcNhFsFxorJeSfm0HVJxqxmQXsBPdkk4kYR3i0WhH6rpqPUyGkkOIwhgy\n"
      "ULkLVRVXKs1cDrFmjTXqEYvK0C1Xc0nrn0gvziUc/03OjFaRsg0Sjtxe2O0cAjN7\n"
      "1Walv2yMeLS0efryOuapcw==\n"
      "-----END PRIVATE KEY-----\n" },
    { 2048, 1,
      "-----BEGIN PRIVATE KEY-----\n"
      "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCVwpa1hssRTT26\n"
      "6FSgBvO+4tRDuSom3ZIrXrcLR95UKyy1xlsjtcDNqM8M3/r4ShpAL1+aafaAaIDW\n"
      "tz+80qgpoQXhO850acSs+82F0Za7b15T+57T9mqw6jT4Iucl5XXKGb/TGloJBFTZ\n"
      "pRjepx4F4zcM2wrEELx2cjBAjFlOpVxE6x8Qy0TPSNQtAQqIquOrV4hM6bA14MYQ\n"
      "Yj2THVhICiGrHro0XJikzZuY6dzkIlJHqIQfIiUfZ9iteT1lPpH9UJY9VKbVms4v\n"
      "Vtns0n+/15RaKfORWIqw/FotJFgzcK/rFBJkYkHTv9MV45TT67r/sCT+f3/q9Wpf\n"
      "kHc9fECtAgMBAAECggEAAQeNd3vNx/KGUcc6/tczfUfS9E2P/TzigVpLwsnCHmnp\n"
      "L8XCTlkP8MSoW+l9Ty6Y8TgcDmBnoH+XaZ9oxjxuleQzDsRquMV7dgUn+XCHEuHt\n"
      "olBavZbCf5KoBtkKAUXIToKlwddruWjPmCHn/JNHhwhz7bal3WTNM9GIFui+j6ln\n"
      "yxNR483GTpcq3bUrFrXn84O5tnEbgEOt5yWAG7RXF3n6UgpdQtB0sFGJoAJpaLk2\n"
      "o4e6n3ZslmZJUlLJDz7TrwNezZID+sAxN3nDhexmGxQqcMvakh5cU2Z+sqX+3y5U\n"
      "y58G/pGurOiVOd6z+sDVOUTMW24tjGjDRdOLlXikQQKBgQDSLen1VpOE1cjWRf2e\n"
      "JtzCGpLioe0M73l1wb0GEN3erGvYehIFn/VP+L1Pe1rbZsulwL8w7XSRBP6Yl4ec\n"
      "598voK5TcU7ytR8ar3SKc2ckEb1Ro+pTE9JjTQrBrlbXcSBsu0S5DCB16MHxaccE\n"
      "GvmTXNxxlsIgoOs32KjhU+X28QKBgQC2aK8Pb/9nxeaHBj8RUWkm2K8PiKTIz27u\n"
      "KC6+2NLeuKO7Vz7xqEo8IxLKroRSzfiFaS6B808CAauRE7D7r69GJkv+q6DQne/T\n"
      "1W1IiSFq96Dg/5JvBB/rBgR7FR/RGn1ozEgPBy8mTyaOGh4O030WBHD82ORLVpSX\n"
      "tywNzI99fQKBgQCtqgBhllqn7JlY61YGwmev/pMVreQXxxueACn2hCM/ZUprAVo4\n"
      "yZXBsW6C6RMGrGZim+OeQuYJGY5gePw12qVgTi0ch0hLZPrBau4po/c6J2o9tend\n"
      "IUi6giL8K9hXhYLcNNQw7mM36c2ucs9dhghoCdegB4h5u1z/tQa9wDwIkQKBgD+P\n"
      "MpC6gdBzEOSztH4gU/eJQVa0Ulb2kLzDm6Y8fx3EUKkSuYgTD+rsfbvKG6mOw64Y\n"
      "/G+jjEAyvMmMhvrsOLLE3W4b96k5nzu8/ptrzQ0sxA4if6/XTBfkvOL2dWOzS0ed\n"
      "Bu7VngRHSDPzvc2Eu+1UFtrD6Kinvpcu6FbWlJkxAoGAJy5e/s3kMtOp8cAPEK1G\n"
      "TzWDQBJIj+/pdi3KbhO9rLCDJoxroUwH+0QSVHTHQda2VMU3C04qk3SC/4EMgiwM\n"
      "ea2QrdRAu8v1tSQuHRqTAf1abWfiWDHjaBnUN6Ebll01xQoM+NUtLCGWgDDGYy2H\n"
      "9V8JGHl2h7VL+EwH6tYYEuQ=\n"
      "-----END PRIVATE KEY-----\n" },
    { 3072, 0,
      "-----BEGIN PRIVATE KEY-----\n"
      "MIIG/QIBADANBgkqhkiG9w0BAQEFAASCBucwggbjAgEAAoIBgQCfpJmMuYRyP1Mz\n"
      "qJp4A1Q741HBuIai2J3zt8SIdVP4Se77Ce7iA8+r6nps8lwWFdP9X8px1Io4E2xT\n"
      "VszvwtqFwRLZxu6oE1k4KIiNANXuSTTrNkkf9tReOyipKquNmbUXXwV8G+0pke+u\n"
      "ghIpOrQ+wz9S4DnpeFh/ogAlxQQYhnAZEb89KUOY3+nXKXzxrAsCwb7xRUrSg2/+\n"
      "Ujxr0JeeldEvM+Ig2bQJyyEPdvgbLnzxnerPsJE6DSq6VHvIJ+E+jCHDiEWpHcyR\n"
      "mxo8rq0Y1NdwQ8TwFwEboiy5o/ds8DavMHAuVn8+tjbthoXMgN+QBW9eUNu9/Vf+\n"
      "1c6fmMDjXpcsMoxRXMnSArphe82A7k+LGJjQ76m6QLW37ixASqB5ZCiy0dglL5tL\n"
      "0YSPkRHfgnXjiLh/93GDmg5CPRPw8Xrl/yDXRFe8l4GAy6xPDc4TrMgTUzs9wyDD\n"
      "AET0y0GA5TjJErqPBE2l8YxWMvsUdag9ne/fbTgCTiq3DWLqfBUCAwEAAQKCAYAZ\n"
      "r1muIM4MtKAOFG8v5nc3wHnvtWDiFACLzRIPk3L8ZGbRGJbI4eyYgBwM6cyDmCT4\n"
      "o+AWQugvH/7ihLlpzPusH/WIuN8+hwhohur7ZrpEwZ4ERwJqZGPkOlfvKciaunN+\n"
      "rGDdSD/2235I4TALVqDX5UGLs7xVkjGI7XdhHErtqDmiau7OKBSyZLpCjjAGURQf\n"
      "cC0os+mXJ6MN88y5WwD9+KREmDAmcWhsV/R8gLtn4imjlTEJk+K1yJcKjhuxRysO\n"
      "9UN42loWS7LYsj+nzjkfpcRFpD28XgKSODl7nBGKb9PomDh8kDTs7TpsJBzyDCp2\n"
      "z7Y9+P/vpnqdvowsK6+W59lyj1sFcK6Upp74/6BorwVZ5xBJSDppNwpBT+9UZa5f\n"
      "Q8j6xCdesYBXwEqOWJNPRBZhDM5IxVbDYhVBLZNJtc+Ldz46HbSB/AH6evd1s+x3\n"
      "CsHGZUdVh+S9westouiJg6lruXhIiV6+d/hFn93wz+5tYXfFU2fLJs+a5VqnoukC\n"
      "gcEA0Zby+GB/D1ZKg036fc/u92JDHaQqkSkTzhPX6AMB5F+xvhe4pq5XOg3PUUZI\n"
      "pK5oRFZBw1lGASFuMPlFzI4Q+mEQpHzZfxqybgkjWlUDxwglCghdMl8NFI+5R111\n"
      "h4SxLA9jxTkjAsuecnUwLjjOJoWM7HEf0JtQR9cFQcxQmmvQwLuSYWe2WA/z9eZN\n"
      "1FM8zoNfbrFXeWaRvllDAJZFjx7isPej5nKVcmCgrFQQChbsR0ly3yqE3eVCBtae\n"
      "vg2dAoHBAML+UDEsIqASnEwsTYozVlYovnLK1Yd2cn1ureB9+dxp+xC3YcPKVCpo\n"
      "Sdws+9w/ANvjmCwDkx/HQHSK3oXNfhs5bKnWkd/FNrU8miBqxsfqZtzZ0ePCNuvP\n"
      "KkgHCc6tpkwrApg3qypkvUy3o+IlVIuk3biKM6EfoGrx7pxOsFVATOo6vqadb6vo\n"
      "h1udWqCLq1De7SVnq4e7dpvArYLx7a0x5fdO2z+dcgQMMIJolqr7ft0QiOcOF1Ur\n"
      "wDqiLHsa2QKBwAPgQsYNIsxp0B71hjhlbAnvK0aVDqR4mgEppMiJpbNPgb3+Ok/6\n"
      "0WolbzwVjKpe/1akMbsnH4BN2ffV5FCQIAhBW0lvdaZAHCSkzp6RC+zWXbj9xptz\n"
      "3o4OymJjfBTxg0VJU5MGJ3uZwGhlemqgak+UELMetHPrK2TouRQqbyMr80RdM6vR\n"
      "ezHNublGdRIEKA+5pj4p0XBRUUiv5elQ3iBzdcXIDqPoYpMm7lHBjDpjiiMXXKR7\n"
      "6NEhuELgHTdukQKBwQC6pEYJ6x7xbR7h4n4NzHnVWoaAxhmA4iVQXoJcIPjqux6v\n"
      "r3gKuj25ob0g3IXvGPcvgjgD2SAYCNZvNwUrubf9Qwf5wQI72D83VtyILuw6Kulu\n"
      "d6fpg9qh99eWvfXrOFe3DGwdWxuhJm/zYMujCOxWBeacXtxwWx9nfk9Qmhk6YKO+\n"
      "h6A5RvS+7YGydXlrtoSykc8YQJT1BMDQ8KqkbgF8CAkAoSBHUeLycOB10rp0yulx\n"
      "nAQOdXRr98a12MkOxHECgcBRGM2xvpXjQ6hWqNvOW+b2jb+WeLaTJ6VcPJrRAI/K\n"
      "BzspnZ3m1aDCN7GbnewZi6ldoBk82P/591G0G9MxKAwLixoNp6ZNBaF+gcnh/iwV\n"
      "FyUqQJ+rC1h3FOuikNS/vMDD8KEoDrS741FL64vORahFmbTgQBz0cxyePrDVTZe3\n"
      "Lrzb213+3EdmCvCoZpArW+3aecCdpQ4ui/AGNKJMH5tCeBwX4nAYga5tmJOEJ0U1\n"
      "/Z8Ws9nDX/XFrcTTP+pHORQ=\n"
      "-----END PRIVATE KEY-----\n" },
};
/* clang-format on */

EVP_PKEY *rsa_key(OSSL_LIB_CTX *context, unsigned bits, unsigned number)
{
    EVP_PKEY *key = NULL;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (keys[i].bits != bits || keys[i].number != number)
            continue;
        BIO *bio = BIO_new_mem_buf(keys[i].pem, -1);
        key = PEM_read_bio_PrivateKey_ex(bio, NULL, NULL, NULL, context, NULL);
        BIO_free(bio);
    }
    if (key)
        return key;
    fprintf(stderr, "there is no RSA key %u of %u bits for tests\n", number, bits);
    exit(1);
}
