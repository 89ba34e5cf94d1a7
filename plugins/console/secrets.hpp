// What of cryptography the console needs: random words, comparing, and password hashes by OpenSSL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace console {

// 32 bytes of the system's randomness, in hex.
std::string random_word();
// In a time that does not tell where they differ.
bool same_text(std::string_view a, std::string_view b);

// "$scrypt$ln=15,r=8,p=1$SALT$HASH", the usual form: base64 without padding, N = 2^ln.
class PasswordHash {
  public:
    // Nothing: it is not one, or would cost more than 256 MiB to check.
    static std::optional<PasswordHash> parse(std::string_view text);
    // For a name that there is not: checking it takes as long as checking a real one.
    static PasswordHash of_nobody();

    // As it was written; empty for nobody's.
    const std::string& text() const { return text_; }
    // Takes tenths of a second, on purpose. Any thread.
    bool is_of(std::string_view password) const;

  private:
    std::uint64_t n_ = 0, r_ = 0, p_ = 0;
    std::string salt_, hash_, text_;
};

}  // namespace console
