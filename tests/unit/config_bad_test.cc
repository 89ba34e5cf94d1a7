// Each tests/config/bad/NN-name.toml gives exactly the lines of NN-name.expected, errors first.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "config/load.hpp"

namespace circus::config {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kEnvironment{"HOME=/home/u", "XDG_RUNTIME_DIR=/run/user/1000"};

std::string contents(const fs::path& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// The plugin "flapping", and one whose library cannot be used.
class FakeCatalog final : public PluginCatalog {
  public:
    PluginLookup find(std::string_view use, const std::vector<std::string>&) const override {
        if (use == "flapping")
            return {PluginLookup::What::Found,
                    "/p/flapping.so",
                    "flapping",
                    "1.0",
                    "stops what flaps",
                    R"({"attempts": {"type": "integer", "default": 2, "min": 1, "table": "flap"},
                        "window": {"type": "number", "default": 1, "min": 0.5, "table": "flap"},
                        "max_retry": {"type": "integer", "default": 5},
                        "names": {"type": "strings", "default": []},
                        "limit": {"type": ["number", "string"], "default": 1},
                        "mode": {"type": "string", "default": "strict", "choices": ["strict", "lax"]}})",
                    {}};
        if (use == "stats")
            return {PluginLookup::What::Found, "/p/stats.so", "stats", "1.0", "figures", "{}", {}};
        if (use == "broken")
            return {PluginLookup::What::Broken,
                    "/p/broken.so",
                    {},
                    {},
                    {},
                    {},
                    "/p/broken.so: open: found X, expected Y"};
        if (use.starts_with('/')) return {.text = "there is no file NOWHERE"};
        return {.text = "no such plugin in /p"};
    }
};

std::string diagnosed(const std::string& file) {
    const FakeCatalog catalog;
    const Loaded loaded = load(file, kEnvironment, false, &catalog);
    std::string lines;
    for (const auto& error : loaded.errors) lines += error.to_string() + "\n";
    for (const auto& broken : loaded.broken_plugins) lines += "broken: " + broken.to_string() + "\n";
    for (const auto& warning : loaded.warnings) lines += "warning: " + warning.to_string() + "\n";
    return lines;
}

class BadConfig : public testing::Test {
  protected:
    // File names are shown as they are given, so they are given relative to the directory.
    void SetUp() override { fs::current_path(CIRCUS_BAD_CONFIGS); }
    void TearDown() override { fs::current_path(before_); }

  private:
    fs::path before_ = fs::current_path();
};

TEST_F(BadConfig, EveryFileGivesExactlyItsExpectedLines) {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator("."))
        if (entry.path().extension() == ".toml") files.push_back(entry.path().filename());
    std::sort(files.begin(), files.end());
    EXPECT_GE(files.size(), 40U);
    for (const auto& file : files) {
        const std::string expected = contents(fs::path(file).replace_extension(".expected"));
        EXPECT_FALSE(expected.empty()) << file;
        EXPECT_EQ(diagnosed(file), expected) << file;
    }
}

TEST_F(BadConfig, AFileThatIsNotThereIsNamed) {
    EXPECT_EQ(diagnosed("nowhere.toml"), "nowhere.toml: cannot be read: No such file or directory\n");
    EXPECT_EQ(diagnosed("parts"), "parts: cannot be read: Is a directory\n");
    EXPECT_EQ(diagnosed("/dev/null"), "/dev/null: cannot be read: not a regular file\n");
}

// The good of it, here because the catalog is.
TEST(PluginTables, ATableThatAPluginNamesIsReadBesideTheOneWithItsName) {
    const fs::path file =
        fs::temp_directory_path() / ("circus-tables-" + std::to_string(::getpid()) + ".toml");
    std::ofstream(file)
        << "[watcher.web]\ncmd = \"x\"\nflap = {attempts = 3, window = 2}\nflapping.max_retry = 1\n"
           "[plugin.flapping]\nuse = \"flapping\"\n";
    const FakeCatalog catalog;
    const Loaded loaded = load(file, kEnvironment, false, &catalog);
    fs::remove(file);
    ASSERT_TRUE(loaded.errors.empty()) << loaded.errors.front().to_string();
    const std::map<std::string, std::string> expected{
        {"flap.attempts", "3"}, {"flap.window", "2"}, {"flapping.max_retry", "1"}};
    EXPECT_EQ(loaded.config.watchers.at(0).plugin_options, expected);
}

}  // namespace
}  // namespace circus::config
