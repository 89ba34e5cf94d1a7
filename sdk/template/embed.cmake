# cmake -DOUT=FILE -P embed.cmake: the templates, and the parts of the SDK that go with them, as a C++ source for
# circusctl (core/control/plugin_template.hpp).
set(raw "R\"~~(")
set(end ")~~\"")
set(rows "")
foreach(language c cpp rust)
    set(folder ${CMAKE_CURRENT_LIST_DIR}/${language})
    file(GLOB_RECURSE files RELATIVE ${folder} ${folder}/*)
    foreach(file ${files})
        file(READ ${folder}/${file} text)
        string(APPEND rows "    {\"${language}\", \"${file}\", ${raw}${text}${end}},\n")
    endforeach()
endforeach()
foreach(file circus.rs testing.rs)
    file(READ ${CMAKE_CURRENT_LIST_DIR}/../rust/${file} text)
    string(APPEND rows "    {\"rust\", \"src/${file}\", ${raw}${text}${end}},\n")
endforeach()
file(WRITE ${OUT} "#include \"control/plugin_template.hpp\"

namespace circus::control {

namespace {

constexpr TemplateFile kFiles[] = {
${rows}};

}  // namespace

std::span<const TemplateFile> plugin_template() {
    return kFiles;
}

}  // namespace circus::control
")
