#pragma once

#include <string_view>
#include <vector>

namespace berth::objects {

/// The built-in schema, as text. One `struct` or `kind` starts at the beginning of a line, its rows
/// follow indented; `#` starts a comment line.
///
///     struct core.v1.Container [atomic] [preserveUnknown]
///       NAME TYPE [@NUMBER | @OUTER.NUMBER] [required] [immutable] [nullable] [atomic] [set]
///            [keys=a,b] [repeats] [merge=KEY] [retainKeys] [enum=a|b] [min=N] [max=N] [minItems=N]
///            [format=FORMAT] [default=JSON to the end of the line]
///
/// TYPE is string, int32, int64, double, bool, quantity, intOrString, time, microTime, duration,
/// bytes, any, []TYPE, map[]TYPE, or the name of a struct. FORMAT is dnsLabel, dnsSubdomain,
/// qualifiedName, labelValue, port, portName, ip, envName, absolutePath,
/// goDuration, or of a map: labels, annotations, resources, configKeys.
/// `@OUTER.NUMBER`: protobuf holds the field in an embedded message that JSON does not show.
///
///     kind Deployment GROUP/VERSION PLURAL SINGULAR STRUCT [cluster] [name=label|label1035|path]
///       short a,b
///       categories all
///       verbs create,get,...          (without: all eight)
///       fields spec.nodeName,...      (selectable)
///       subresource NAME KIND GROUP/VERSION verb,verb
///       column NAME TYPE .path|hook:NAME [wide] [description to the end of the line]
///
/// The core group's version is written alone (`v1`). A PLURAL of `-`: the kind is only the body of
/// a request. A column's name with spaces stands in double quotes.
std::vector<std::string_view> built_in_schema();

}  // namespace berth::objects
