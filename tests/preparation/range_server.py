"""A server of files with byte ranges, as GDAL and object stores use them; prints its port."""

import functools
import http.server
import sys
from pathlib import Path


class RangeHandler(http.server.SimpleHTTPRequestHandler):
    """Files with byte ranges, as GDAL and object stores use them."""

    def send_head(self):
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return None
        size = path.stat().st_size
        first, last = 0, size - 1
        wanted = self.headers.get('Range')
        if wanted:
            begin, _, end = wanted.removeprefix('bytes=').partition('-')
            first, last = int(begin), min(int(end or last), last)
        self.send_response(206 if wanted else 200)
        self.send_header('Accept-Ranges', 'bytes')
        self.send_header('Content-Length', str(last - first + 1))
        if wanted:
            self.send_header('Content-Range', f'bytes {first}-{last}/{size}')
        self.end_headers()
        stream = open(path, 'rb')
        stream.seek(first)
        self.left = last - first + 1
        return stream

    def copyfile(self, source, outputfile):
        outputfile.write(source.read(self.left))

    def log_message(self, *_):
        pass


if __name__ == '__main__':
    handler = functools.partial(RangeHandler, directory=sys.argv[1])
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    print(server.server_port, flush=True)
    server.serve_forever()
