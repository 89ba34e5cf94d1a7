// What the configuration needs to know of plugins, as an interface that it owns: which library a name means,
// and what that library says of itself. core/plugin implements it for the product; tests have their own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace circus::config {

struct PluginLookup {
    enum class What {
        Found,
        Missing,  // there is no such plugin or file; `text` says where it was looked for, and what is near
        Broken    // there is, but it cannot be used; `text` names step, found and expected
    };
    What what = What::Missing;
    std::string file = {};  // the library, absolute; empty: Missing
    std::string name = {}, version = {}, summary = {};
    std::string options = {};  // JSON object: option -> {type, default, doc, …}; never empty where Found
    std::string text = {};
    bool has_stream_classes = false;  // it offers some; which ones is known once it runs
};

class PluginCatalog {
  public:
    virtual ~PluginCatalog() = default;
    // `use` is a name, looked for in `folders` and then in the built-in one, or the absolute path of a
    // library. May block for seconds. From any thread, one at a time.
    virtual PluginLookup find(std::string_view use, const std::vector<std::string>& folders) const = 0;
};

}  // namespace circus::config
