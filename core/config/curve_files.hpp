// The two files of CURVE: the daemon's own key, and the list of those whose keys are let in with what each of
// them may do. Errors name file, line and remedy.
//
//     # a key file, as `circusctl keygen` writes it          # the list
//     public  0…40 characters of Z85                         operate  deploy  0…40 characters of Z85
//     secret  0…40 characters of Z85                         read     nagios  0…40 characters of Z85
//     server  0…40 characters of Z85
//
// The last is of a client's file only: whom it takes for the daemon.
//
// Words are divided by blanks, and a line that begins with # is a comment: a key may hold a #, but no blank.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"

namespace circus::config {

inline constexpr size_t kKeyLength = 40;  // of Z85, 32 bytes

bool is_key(std::string_view text);

// Each as Z85; empty: the file does not have it.
struct KeyFile {
    std::string public_key, secret_key, server_key;
};
// With a secret key at least.
Result<KeyFile> parse_keys(std::string_view text, const std::string& file);
Result<std::vector<CurveClient>> parse_clients(std::string_view text, const std::string& file);

// The file itself: a regular one, of root's or this process's user, and closed to everybody else.
Result<KeyFile> read_keys(const std::string& file);
// One that only root and this process's user may write: it says who is let in.
Result<std::vector<CurveClient>> read_clients(const std::string& file);

}  // namespace circus::config
