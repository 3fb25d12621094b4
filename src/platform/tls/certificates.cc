#include "platform/tls/certificates.h"

#include <algorithm>
#include <cctype>
#include <ctime>
#include <memory>
#include <string_view>

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "platform/storage/files.h"
#include "platform/tls/crypto.h"

namespace berth::platform {
namespace {

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* value) const {
    kFree(value);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Extension = std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>>;

constexpr int64_t kDay = 86'400;
constexpr int64_t kAuthorityDays = 3650;
constexpr int64_t kServerDays = 365;
constexpr int64_t kRenewDays = 30;

std::unexpected<Error> openssl_failure(std::string_view doing) {
  char text[256] = {};
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  return fail(ErrorCode::kInternal, "cannot " + std::string(doing) + ": " + text);
}

std::string contents(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  return {bytes, static_cast<size_t>(size)};
}

std::string to_pem(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  return contents(bio.get());
}

std::string to_pem(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return contents(bio.get());
}

Certificate read_certificate(const std::filesystem::path& file) {
  const Result<std::string> pem = read_file(file);
  if (!pem) return nullptr;
  const Bio bio(BIO_new_mem_buf(pem->data(), static_cast<int>(pem->size())));
  return Certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

Key read_key(const std::filesystem::path& file) {
  const Result<std::string> pem = read_file(file);
  if (!pem) return nullptr;
  const Bio bio(BIO_new_mem_buf(pem->data(), static_cast<int>(pem->size())));
  return Key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
}

bool is_ip(const std::string& address) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, address.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, address.c_str(), bytes) == 1;
}

bool names(X509* certificate, const std::string& address) {
  if (is_ip(address)) return X509_check_ip_asc(certificate, address.c_str(), 0) == 1;
  return X509_check_host(certificate, address.data(), address.size(), 0, nullptr) == 1;
}

bool lasts(X509* certificate, Time now) {
  const time_t until = now.ns / 1'000'000'000 + kRenewDays * kDay;
  time_t from = now.ns / 1'000'000'000;
  time_t renew = until;
  return X509_cmp_time(X509_get0_notBefore(certificate), &from) < 0 &&
         X509_cmp_time(X509_get0_notAfter(certificate), &renew) > 0;
}

void add_extension(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  if (extension) X509_add_ext(certificate, extension.get(), -1);
}

/// An unsigned certificate with a random serial number.
Certificate draft(EVP_PKEY* key, const char* common_name, Time now, int64_t days) {
  Certificate certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  std::string serial = random_bytes(16);
  serial[0] = static_cast<char>(serial[0] & 0x7f);
  BIGNUM* number = BN_bin2bn(reinterpret_cast<const unsigned char*>(serial.data()),
                             static_cast<int>(serial.size()), nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.get()));
  BN_free(number);
  const time_t start = now.ns / 1'000'000'000 - 3600;  // other machines' clocks may be behind
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), start);
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), start + days * kDay);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(common_name), -1, -1, 0);
  X509_set_pubkey(certificate.get(), key);
  return certificate;
}

struct Authority {
  Certificate certificate;
  Key key;
};

Result<Authority> make_authority(const std::filesystem::path& certificate_file,
                                 const std::filesystem::path& key_file, Time now) {
  Authority authority;
  authority.key = Key(EVP_EC_gen("P-256"));
  if (!authority.key) return openssl_failure("make a key");
  // A name of its own: clients that trust two Berths must not mix up their authorities.
  const std::string name = "berth " + random_uuid();
  authority.certificate = draft(authority.key.get(), name.c_str(), now, kAuthorityDays);
  X509* certificate = authority.certificate.get();
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(certificate, certificate, NID_subject_key_identifier, "hash");
  if (X509_sign(certificate, authority.key.get(), EVP_sha256()) == 0) {
    return openssl_failure("sign the authority's certificate");
  }
  BERTH_CHECK(write_file(key_file, to_pem(authority.key.get()), 0600));
  BERTH_CHECK(write_file(certificate_file, to_pem(certificate), 0644));
  return authority;
}

Result<> make_server(const Authority& authority, const CertificateFiles& files,
                     const std::vector<std::string>& addresses, Time now) {
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return openssl_failure("make a key");
  const Certificate certificate = draft(key.get(), "berth", now, kServerDays);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(authority.certificate.get()));
  std::string alternatives;
  for (const std::string& address : addresses) {
    if (!alternatives.empty()) alternatives += ',';
    alternatives += (is_ip(address) ? "IP:" : "DNS:") + address;
  }
  X509* issuer = authority.certificate.get();
  add_extension(certificate.get(), issuer, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(certificate.get(), issuer, NID_key_usage, "critical,digitalSignature");
  add_extension(certificate.get(), issuer, NID_ext_key_usage, "serverAuth");
  add_extension(certificate.get(), issuer, NID_authority_key_identifier, "keyid:always");
  add_extension(certificate.get(), issuer, NID_subject_alt_name, alternatives);
  if (X509_sign(certificate.get(), authority.key.get(), EVP_sha256()) == 0) {
    return openssl_failure("sign the server's certificate");
  }
  BERTH_CHECK(write_file(files.key, to_pem(key.get()), 0600));
  return write_file(files.certificate, to_pem(certificate.get()), 0644);
}

/// A crash between the two writes can leave the new key beside the old certificate.
bool matches(X509* certificate, const std::filesystem::path& key_file) {
  const Key key = read_key(key_file);
  return key && X509_check_private_key(certificate, key.get()) == 1;
}

}  // namespace

Result<CertificateFiles> ensure_certificates(const std::filesystem::path& folder,
                                             const std::vector<std::string>& addresses, Time now) {
  BERTH_CHECK(ensure_folder(folder, 0700));
  const CertificateFiles files{folder / "ca.crt", folder / "server.crt", folder / "server.key"};
  const std::filesystem::path authority_key = folder / "ca.key";

  Authority authority{read_certificate(files.ca), read_key(authority_key)};
  const bool authority_good =
      authority.certificate && authority.key && lasts(authority.certificate.get(), now) &&
      X509_check_private_key(authority.certificate.get(), authority.key.get()) == 1;
  if (!authority_good) {
    BERTH_TRY(authority, make_authority(files.ca, authority_key, now));
  }
  const Certificate server = read_certificate(files.certificate);
  const bool server_good =
      authority_good && server && lasts(server.get(), now) && matches(server.get(), files.key) &&
      X509_check_issued(authority.certificate.get(), server.get()) == X509_V_OK &&
      std::ranges::all_of(addresses, [&](const auto& name) { return names(server.get(), name); });
  ERR_clear_error();
  if (!server_good) BERTH_CHECK(make_server(authority, files, addresses, now));
  return files;
}

}  // namespace berth::platform
