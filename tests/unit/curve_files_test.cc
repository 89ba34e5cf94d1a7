// The files of CURVE: what is in them, and what is said of those that are wrong.
#include "config/curve_files.hpp"

#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "config/endpoints.hpp"

namespace circus::config {
namespace {

using model::Role;

const std::string kKey = "#rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf";  // as in ZeroMQ's specification of Z85
const std::string kOther(kKeyLength, '0');

std::string text_of(const Error& error) {
    return error.text;
}

TEST(CurveFiles, AKeyFileHasThreeWordsAndComments) {
    const auto keys =
        parse_keys("# one\n\n  public\t" + kKey + "\r\nsecret " + kOther + "\nserver  " + kKey, "f");
    ASSERT_TRUE(keys) << keys.error().text;
    EXPECT_EQ(keys->public_key, kKey);
    EXPECT_EQ(keys->secret_key, kOther);
    EXPECT_EQ(keys->server_key, kKey);
}

TEST(CurveFiles, WhatIsNoKeyFileIsToldByItsLine) {
    for (const auto& [text, error] : std::initializer_list<std::pair<std::string, std::string>>{
             {"", "f has no line \"secret KEY\"; `circusctl keygen FILE` makes such a file"},
             {"public " + kKey, "f has no line \"secret KEY\"; `circusctl keygen FILE` makes such a file"},
             {"\n\nsecret", "f:3: behind secret belongs a key, 40 characters of Z85"},
             {"secret " + kKey + "x", "f:1: behind secret belongs a key, 40 characters of Z85"},
             {"secret " + kKey + " " + kKey, "f:1: behind secret belongs a key, 40 characters of Z85"},
             {"secret " + std::string(kKeyLength, '~'),
              "f:1: behind secret belongs a key, 40 characters of Z85"},
             {"Secret " + kKey, "f:1: 'Secret' is no word of a key file: public, secret or server"}}) {
        const auto keys = parse_keys(text, "f");
        ASSERT_FALSE(keys) << text;
        EXPECT_EQ(text_of(keys.error()), error);
    }
}

TEST(CurveFiles, TheListHasARoleANameAndAKeyALine) {
    const auto clients = parse_clients("# who\nread nagios " + kKey + "\nadmin  me " + kOther + "\n", "f");
    ASSERT_TRUE(clients) << clients.error().text;
    EXPECT_EQ(*clients,
              (std::vector<CurveClient>{{"nagios", kKey, Role::Read}, {"me", kOther, Role::Admin}}));
    EXPECT_TRUE(parse_clients("", "f")->empty());
}

TEST(CurveFiles, AWrongLineOfTheListIsToldByItsNumber) {
    for (const auto& [text, error] : std::initializer_list<std::pair<std::string, std::string>>{
             {"read nagios", "f:1: a line is ROLE NAME KEY"},
             {"\nking me " + kKey, "f:2: 'king' is no role: read, operate or admin"},
             {"none me " + kKey, "f:1: 'none' is no role: read, operate or admin"},
             {"read me short", "f:1: the key must be 40 characters of Z85"},
             {"read me " + kKey + "\nadmin you " + kKey, "f:2: the key is that of me too"}}) {
        const auto clients = parse_clients(text, "f");
        ASSERT_FALSE(clients) << text;
        EXPECT_EQ(text_of(clients.error()), error);
    }
}

struct CurveFileTest : testing::Test {
    std::string path = testing::TempDir() + "curve_files_test." + std::to_string(::getpid());

    void write(const std::string& text, mode_t mode) const {
        std::ofstream(path) << text;
        ::chmod(path.c_str(), mode);
    }
    ~CurveFileTest() override { ::unlink(path.c_str()); }
};

TEST_F(CurveFileTest, ASecretIsForNobodyElse) {
    write("secret " + kKey + "\n", 0600);
    EXPECT_EQ(read_keys(path)->secret_key, kKey);
    for (const mode_t mode : {0640U, 0604U, 0620U}) {
        ::chmod(path.c_str(), mode);
        EXPECT_EQ(text_of(read_keys(path).error()), path + " is open to others; chmod 600 it");
    }
}

TEST_F(CurveFileTest, TheListIsForNobodyElseToWrite) {
    write("read me " + kKey + "\n", 0644);
    EXPECT_EQ(read_clients(path)->front().name, "me");
    for (const mode_t mode : {0664U, 0646U}) {
        ::chmod(path.c_str(), mode);
        EXPECT_EQ(text_of(read_clients(path).error()), path + " can be written by others; chmod go-w it");
    }
}

TEST_F(CurveFileTest, AnothersFileAndWhatIsNoneAreRefused) {
    EXPECT_EQ(text_of(read_keys(path).error()).find("cannot read " + path), 0U);
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    EXPECT_EQ(text_of(read_keys(path).error()), path + " is not a file");
    ::unlink(path.c_str());
    if (::geteuid() != 0) return;
    write("secret " + kKey + "\n", 0600);
    ASSERT_EQ(::chown(path.c_str(), 65533, 65533), 0);
    EXPECT_EQ(text_of(read_keys(path).error()), path + " belongs to another user (uid 65533); chown it");
}

TEST(Endpoints, OfAMachineItselfAreIpcAndLoopback) {
    for (const char* endpoint : {"ipc:///run/x", "tcp://127.0.0.1:1", "tcp://127.9.8.7:1",
                                 "tcp://localhost:1", "tcp://[::1]:1", "tcp://lo:1"})
        EXPECT_TRUE(is_local(endpoint)) << endpoint;
    for (const char* endpoint : {"tcp://0.0.0.0:1", "tcp://*:1", "tcp://[::]:1", "tcp://eth0:1",
                                 "tcp://10.0.0.1:1", "tcp://127.0.0.1.example.org:1", "tcp://128.0.0.1:1"})
        EXPECT_FALSE(is_local(endpoint)) << endpoint;
}

}  // namespace
}  // namespace circus::config
