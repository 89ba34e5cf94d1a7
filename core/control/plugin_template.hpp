// The files of a new plugin, as sdk/template has them: each builds as it stands, as a plugin called
// my_plugin. The table is made of them by the build.
#pragma once

#include <span>
#include <string_view>

namespace circus::control {

struct TemplateFile {
    std::string_view language;  // c, cpp, rust
    std::string_view path;      // in the plugin's folder
    std::string_view text;
};

// The name to replace, in paths and texts.
inline constexpr std::string_view kTemplateName = "my_plugin";

std::span<const TemplateFile> plugin_template();

}  // namespace circus::control
