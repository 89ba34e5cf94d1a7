#include "sys/own_code.hpp"

#include <cstdint>
#include <fcntl.h>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/unique_fd.hpp"

namespace circus::sys {
namespace {

// Constants of this program, in pages of their own.
constexpr std::size_t kPage = 4096, kSize = 256 * kPage;
alignas(kPage) const char g_constants[kSize] = {'c'};

char read_from(std::size_t offset) {
    return *static_cast<const volatile char*>(g_constants + offset);
}

// As a debugger does: whatever the page may be written by.
bool poke(std::size_t offset, char byte) {
    const UniqueFd memory(::open("/proc/self/mem", O_RDWR | O_CLOEXEC));
    const auto at = static_cast<off_t>(reinterpret_cast<std::uintptr_t>(g_constants + offset));
    return ::pwrite(memory.get(), &byte, 1, at) == 1;
}

TEST(OwnCode, ThatNobodyUsesAnyMoreIsUnmapped) {
    for (std::size_t offset = kPage; offset < kSize; offset += kPage) ASSERT_EQ(read_from(offset), '\0');
    const std::size_t all = let_go_of_own_code();
    const std::size_t used_since = let_go_of_own_code();
    EXPECT_GE(all, kSize);
    EXPECT_LT(used_since, all);
}

TEST(OwnCode, ComesBackAsItWasWhenItIsUsedAgain) {
    EXPECT_GT(let_go_of_own_code(), 0U);
    EXPECT_EQ(read_from(0), 'c');
    EXPECT_EQ(std::to_string(1234567) + std::string(100, 'x'), "1234567" + std::string(100, 'x'));
}

TEST(OwnCode, ThatADebuggerHasWrittenToStaysAsItIs) {
    if (!poke(kSize / 2, 'd')) GTEST_SKIP() << "this kernel does not let a program write to its constants";
    let_go_of_own_code();
    EXPECT_EQ(read_from(kSize / 2), 'd');
    EXPECT_TRUE(poke(kSize / 2, '\0'));
}

}  // namespace
}  // namespace circus::sys
