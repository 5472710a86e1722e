// RSA keys of 2048 bits by Debian's OpenSSL, each with a signature that is checked: rsa COUNT
//
// Its random numbers are the same each time, so the work and the keys are too. That is the use of RAND_set_rand_method, which
// OpenSSL 3 calls old but still has.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t state = 5; // with this one, the first keys take about as long as keys do on average

static int same_bytes(unsigned char* bytes, int count) {
  for (int i = 0; i < count; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    bytes[i] = (unsigned char)(state >> 56);
  }
  return 1;
}

static int always_ready(void) { return 1; }

static void check(int good, const char* what) {
  if (!good) {
    fprintf(stderr, "rsa: %s failed\n", what);
    exit(1);
  }
}

static void sign(EVP_PKEY* key) {
  static const unsigned char text[] = "a text to sign";
  unsigned char signature[256];
  size_t length = sizeof signature;
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  check(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1, "the signature's start");
  check(EVP_DigestSign(context, signature, &length, text, sizeof text) == 1, "the signature");
  EVP_MD_CTX_reset(context);
  check(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1, "the check's start");
  check(EVP_DigestVerify(context, signature, length, text, sizeof text) == 1, "the check");
  EVP_MD_CTX_free(context);
  for (size_t i = 0; i < length; ++i) {
    printf("%02x", signature[i]);
  }
  printf("\n");
}

int main(int argc, char** argv) {
  static const RAND_METHOD same = {.bytes = same_bytes, .pseudorand = same_bytes, .status = always_ready};
  int count = argc > 1 ? atoi(argv[1]) : 1;
  check(RAND_set_rand_method(&same) == 1, "setting the random numbers");
  for (int i = 0; i < count; ++i) {
    EVP_PKEY* key = EVP_RSA_gen(2048);
    check(key != NULL, "making a key");
    sign(key);
    EVP_PKEY_free(key);
  }
}
