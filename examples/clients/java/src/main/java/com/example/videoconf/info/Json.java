package com.example.videoconf.info;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import com.google.protobuf.Value;
import java.math.BigDecimal;

/** A Value as JSON in one line, for people: JsonFormat would write 5.0 for 5. */
final class Json {
  private Json() {}

  static String text(Value value) {
    return new GsonBuilder().disableHtmlEscaping().serializeNulls().create().toJson(of(value));
  }

  private static JsonElement of(Value value) {
    switch (value.getKindCase()) {
      case STRUCT_VALUE:
        JsonObject object = new JsonObject();
        value.getStructValue().getFieldsMap().forEach((key, v) -> object.add(key, of(v)));
        return object;
      case LIST_VALUE:
        JsonArray array = new JsonArray();
        value.getListValue().getValuesList().forEach(v -> array.add(of(v)));
        return array;
      case NUMBER_VALUE:
        double number = value.getNumberValue();
        boolean whole = number == Math.rint(number) && Math.abs(number) < 1e21;
        return whole
            ? new JsonPrimitive(new BigDecimal(number).toBigInteger())
            : new JsonPrimitive(number);
      case STRING_VALUE:
        return new JsonPrimitive(value.getStringValue());
      case BOOL_VALUE:
        return new JsonPrimitive(value.getBoolValue());
      default:
        return JsonNull.INSTANCE;
    }
  }
}
