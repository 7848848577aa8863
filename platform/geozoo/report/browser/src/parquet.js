// Columns of a Parquet file, read by ranges.
import { decompress } from "fzstd";
import { parquetMetadataAsync, parquetRead } from "hyparquet";
import { Cache } from "./cache.js";
import { openFile } from "./ranges.js";

const FOOTER_BYTES = 1 << 16;
const KEPT_GROUPS = 64;
const compressors = { ZSTD: (input, length) => decompress(input, new Uint8Array(length)) };

/** A Parquet file: its columns and their types, and ranges of rows of columns. */
export class ParquetFile {
  /** Open the file at a URL. */
  static async open(url) {
    const file = await openFile(url);
    return new ParquetFile(file, await parquetMetadataAsync(file, { initialFetchSize: FOOTER_BYTES }));
  }

  constructor(file, metadata) {
    this.file = file;
    this.metadata = metadata;
    this.numRows = Number(metadata.num_rows);
    this.fields = new Map(metadata.schema.slice(1).map((element) => [element.name, element.type]));
    this.kept = new Cache(KEPT_GROUPS);
    let first = 0;
    this.groups = metadata.row_groups.map((group) => {
      const start = first;
      first += Number(group.num_rows);
      return { start, end: first, columns: new Map(group.columns.map((chunk) => [chunk.meta_data.path_in_schema[0], chunk])) };
    });
  }

  get columns() {
    return [...this.fields.keys()];
  }

  isNumeric(column) {
    return !["BYTE_ARRAY", "BOOLEAN"].includes(this.fields.get(column));
  }

  /** One column: a Float64Array (missing values NaN) or an array of texts. */
  read(column) {
    return this.readRows(column, 0, this.numRows);
  }

  /**
   * Some rows of a column of numbers. Where the pages of a row group are indexed, those that hold the rows are read;
   * elsewhere the group's whole column, which is then kept.
   */
  async readSome(column, start, end) {
    const group = this.groups.find((one) => one.start <= start && end <= one.end);
    if (!group || group.columns.get(column).offset_index_offset) return this.readRows(column, start, end);
    const values = await this.kept.get(`${column}/${group.start}`, () => this.readRows(column, group.start, group.end));
    return values.slice(start - group.start, end - group.start);
  }

  async readRows(column, rowStart, rowEnd) {
    const numeric = this.isNumeric(column);
    const values = numeric ? new Float64Array(rowEnd - rowStart).fill(NaN) : new Array(rowEnd - rowStart).fill("");
    const onChunk = (chunk) => {
      const last = Math.min(rowEnd, chunk.rowEnd);
      for (let row = Math.max(rowStart, chunk.rowStart); row < last; row++) {
        const value = chunk.columnData[row - chunk.rowStart];
        if (value !== null && value !== undefined) values[row - rowStart] = numeric ? Number(value) : String(value);
      }
    };
    const { file, metadata } = this;
    await parquetRead({ file, metadata, compressors, columns: [column], rowStart, rowEnd, useOffsetIndex: true, onChunk });
    return values;
  }
}
