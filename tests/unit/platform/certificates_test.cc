#include "platform/tls/certificates.h"

#include <filesystem>
#include <future>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/http/client.h"
#include "platform/http/server.h"
#include "platform/storage/files.h"
#include "platform/tls/crypto.h"

namespace berth::platform {
namespace {

constexpr Time kNow{1'763'900'000'000'000'000};

class CertificatesTest : public testing::Test {
 protected:
  CertificatesTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "berth-test-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~CertificatesTest() override { std::filesystem::remove_all(folder_); }
  CertificateFiles ensure(std::vector<std::string> names = {"127.0.0.1"}, Time now = kNow) {
    const auto files = ensure_certificates(folder_ / "pki", names, now);
    EXPECT_TRUE(files) << files.error().to_string();
    return *files;
  }
  static std::string text(const std::filesystem::path& file) { return *read_file(file); }

  std::filesystem::path folder_;
};

TEST_F(CertificatesTest, KeepsWhatIsGoodAndItsKeysToItself) {
  const CertificateFiles files = ensure();
  const std::string certificate = text(files.certificate);
  EXPECT_EQ(text(ensure().certificate), certificate);
  struct stat status{};
  ASSERT_EQ(::stat(files.key.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(CertificatesTest, RenewsUnderTheSameAuthority) {
  const CertificateFiles files = ensure();
  const std::string authority = text(files.ca);
  const std::string certificate = text(files.certificate);
  ensure({"127.0.0.1", "localhost"});
  EXPECT_NE(text(files.certificate), certificate);
  const std::string named = text(files.certificate);
  ensure({"127.0.0.1", "localhost"}, kNow + Duration::hours(24 * 350));
  EXPECT_NE(text(files.certificate), named);
  EXPECT_EQ(text(files.ca), authority);
}

TEST_F(CertificatesTest, ACutOffRenewalIsRepaired) {
  const CertificateFiles files = ensure();
  ASSERT_TRUE(write_file(files.key, "half a ke", 0600));
  ensure();
  EXPECT_NE(text(files.key), "half a ke");
}

TEST_F(CertificatesTest, AClientTrustsThemAndNobodyElse) {
  // The real clock of the TLS library judges these: they are made for now.
  struct timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const CertificateFiles files = ensure({"127.0.0.1"}, Time{now.tv_sec * 1'000'000'000});
  HttpServerOptions options;
  options.tls = {files.certificate, files.key};
  auto server = HttpServer::start(options, [](const std::shared_ptr<HttpExchange>& exchange) {
    exchange->send({200, {}, "hello"});
  });
  ASSERT_TRUE(server) << server.error().to_string();
  const auto ask = [&](std::string ca, std::string host) {
    HttpClientOptions trusting;
    trusting.ca_pem = std::move(ca);
    auto client = HttpClient::create(trusting);
    EXPECT_TRUE(client);
    std::promise<Result<HttpResponse>> promise;
    (*client)->request({std::move(host), (*server)->port(), true, {}}, {}, Duration::seconds(10),
                       [&](auto answer) { promise.set_value(std::move(answer)); });
    return promise.get_future().get();
  };
  const auto trusted = ask(text(files.ca), "127.0.0.1");
  ASSERT_TRUE(trusted) << trusted.error().to_string();
  EXPECT_EQ(trusted->body, "hello");
  EXPECT_FALSE(ask("", "127.0.0.1"));
  EXPECT_FALSE(ask(text(files.ca), "localhost"));  // not in the certificate
}

TEST(Crypto, RoundTrips) {
  for (const std::string text : {"", "a", "ab", "abc", "abcd"}) {
    EXPECT_EQ(*from_base64(base64(text)), text);
  }
  EXPECT_FALSE(from_base64("a"));
  EXPECT_FALSE(from_base64("****"));
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_NE(random_uuid(), random_uuid());
  EXPECT_TRUE(equal_in_constant_time("ab", "ab"));
  EXPECT_FALSE(equal_in_constant_time("ab", "ac"));
}

TEST_F(CertificatesTest, ALockIsHeldOnce) {
  {
    const auto lock = FileLock::acquire(folder_ / "lock");
    ASSERT_TRUE(lock);
    EXPECT_EQ(FileLock::acquire(folder_ / "lock").error().code, ErrorCode::kConflict);
  }
  EXPECT_TRUE(FileLock::acquire(folder_ / "lock"));
}

}  // namespace
}  // namespace berth::platform
