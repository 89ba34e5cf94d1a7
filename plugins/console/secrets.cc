#include "secrets.hpp"

#include <array>
#include <charconv>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <circus/plugin.hpp>

namespace console {

namespace {

constexpr std::uint64_t kMostMemory = 256u << 20;

std::optional<std::string> from_base64(std::string_view text) {
    static constexpr std::string_view kLetters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    std::uint32_t bits = 0;
    int count = 0;
    while (text.ends_with('=')) text.remove_suffix(1);
    for (const char c : text) {
        const auto value = kLetters.find(c);
        if (value == std::string_view::npos) return std::nullopt;
        bits = (bits << 6 | static_cast<std::uint32_t>(value)) & 0xffffff;
        count += 6;
        if (count < 8) continue;
        count -= 8;
        out += static_cast<char>(bits >> count & 0xff);
    }
    return out;
}

// Takes "ln=15," off the front; 0: something else is there.
std::uint64_t take_number(std::string_view& text, std::string_view name, char end) {
    if (!text.starts_with(name)) return 0;
    text.remove_prefix(name.size());
    std::uint64_t number = 0;
    const auto [rest, wrong] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (wrong != std::errc() || rest == text.data() + text.size() || *rest != end) return 0;
    text.remove_prefix(static_cast<std::size_t>(rest - text.data()) + 1);
    return number;
}

}  // namespace

std::string random_word() {
    std::array<unsigned char, 32> bytes{};
    // Not OpenSSL's: setting that up takes milliseconds, and this is first called on circusd's loop.
    if (::getentropy(bytes.data(), bytes.size()) != 0)
        throw circus::Failure(CIRCUS_E_UNSUPPORTED, "the system has no random numbers");
    std::string word;
    for (const unsigned char byte : bytes) {
        word += "0123456789abcdef"[byte >> 4];
        word += "0123456789abcdef"[byte & 15];
    }
    return word;
}

bool same_text(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::optional<PasswordHash> PasswordHash::parse(std::string_view text) {
    constexpr std::string_view kStart = "$scrypt$";
    const std::string written(text);
    if (!text.starts_with(kStart)) return std::nullopt;
    text.remove_prefix(kStart.size());
    const std::uint64_t ln = take_number(text, "ln=", ',');
    const std::uint64_t r = take_number(text, "r=", ',');
    const std::uint64_t p = take_number(text, "p=", '$');
    const auto middle = text.find('$');
    if (middle == std::string_view::npos || ln < 10 || ln > 20 || r < 1 || r > 32 || p < 1 || p > 16)
        return std::nullopt;
    PasswordHash hash;
    hash.n_ = std::uint64_t{1} << ln;
    hash.r_ = r;
    hash.p_ = p;
    const auto salt = from_base64(text.substr(0, middle));
    const auto key = from_base64(text.substr(middle + 1));
    if (!salt || !key || salt->size() < 8 || key->size() < 16 || key->size() > 128) return std::nullopt;
    if (128 * hash.n_ * hash.r_ > kMostMemory) return std::nullopt;
    hash.salt_ = *salt;
    hash.hash_ = *key;
    hash.text_ = written;
    return hash;
}

PasswordHash PasswordHash::of_nobody() {
    PasswordHash hash;
    hash.n_ = 1u << 15;
    hash.r_ = 8;
    hash.p_ = 1;
    hash.salt_ = random_word();
    hash.hash_ = random_word();
    return hash;
}

bool PasswordHash::is_of(std::string_view password) const {
    std::string key(hash_.size(), '\0');
    const int done = EVP_PBE_scrypt(
        password.data(), password.size(), reinterpret_cast<const unsigned char*>(salt_.data()), salt_.size(),
        n_, r_, p_, kMostMemory + (64u << 20), reinterpret_cast<unsigned char*>(key.data()), key.size());
    const bool same = done == 1 && same_text(key, hash_);
    OPENSSL_cleanse(key.data(), key.size());
    return same;
}

}  // namespace console
