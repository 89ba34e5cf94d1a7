// Request and Response as the console's own code sees them, without the library that reads and writes them.
// Values; nothing here calls anybody.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <circus/plugin.hpp>

namespace console {

using circus::Json;

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Request {
    std::string method;  // as written: "GET"
    std::string target;  // as written: "/api/v1/watchers/web?lines=5"
    Pairs headers;       // names in lower case
    std::string body;
    std::string peer;  // the other end's address, without its port

    std::string_view header(std::string_view name) const;  // empty: none
    std::string_view cookie(std::string_view name) const;
    // The parts of the path, decoded: "/a/b%20c" is {"a", "b c"}. Nothing: it is not written as one.
    std::optional<std::vector<std::string>> path() const;
    Pairs query() const;
    bool reads() const { return method == "GET" || method == "HEAD"; }
};

struct Response {
    int status = 200;
    std::string type = {};  // of the content; empty: there is none
    std::string body = {};
    Pairs headers = {};
};

using Respond = std::function<void(Response)>;

Response json_response(int status, const Json& body);
// An error in circusd's shape: {"status": "error", "reason": …}.
Response refusal(int status, std::string_view reason);

std::string to_lower(std::string_view text);
std::string_view trimmed(std::string_view text);
// "%20" and the like; nothing: badly written, or it has a control character.
std::optional<std::string> decoded(std::string_view text, bool plus_is_blank);

}  // namespace console
