import { Controller, Get } from '@nestjs/common';
import { openApiDocument } from './openapi.js';

/** What needs no key. */
@Controller()
export class RootController {
  private readonly document = openApiDocument();

  @Get('/openapi.json')
  openApi() {
    return this.document;
  }

  @Get('/healthz')
  health() {
    return { status: 'alive' };
  }
}
